/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The named points of the hand-over, for tests: built with the CMake option PRMIG_POINTS, and never into a package.
 *
 * Environment, read at each point:
 *   PRMIG_POINT=step:moment[:skip]  the process kills itself (SIGKILL) there (or the path of a file with that line,
 *                                   which need not be there yet, and is removed there), or
 *   PRMIG_POINT_STOP=1              ... stops itself (SIGSTOP), once, until somebody continues it
 *   PRMIG_POINT_LOG=path            a line for each point that is reached
 * step: a name of record_step_name; moment: before-journal, journalled, answered; skip: so many times it is passed first.
 */
#ifndef PRMIG_POINTS_H
#define PRMIG_POINTS_H

#include "handover.h"

void points_reach(enum record_step step, enum handover_moment moment);

#endif
