/* SPDX-License-Identifier: Apache-2.0 */
/* The conformance cases of persistent reservations, by their numbers: each file has some of them. */
#ifndef PRMIG_TESTS_ENGINE_CASES_H
#define PRMIG_TESTS_ENGINE_CASES_H

#define ENGINE_CASES 91

struct engine_case {
	unsigned int number;
	const char *name;
	void (*run)(void);
};

#define ENGINE_CASE(number, name)                                                                  \
	{                                                                                          \
		number, #number "_" #name, case_##number##_##name                                  \
	}
#define ENGINE_CASES_END                                                                           \
	{                                                                                          \
		0                                                                                  \
	}

/* Each ends with number 0. */
extern const struct engine_case engine_cases_in[];
extern const struct engine_case engine_cases_register[];
extern const struct engine_case engine_cases_reserve[];
extern const struct engine_case engine_cases_preempt[];
extern const struct engine_case engine_cases_move[];
extern const struct engine_case engine_cases_matrix[];
extern const struct engine_case engine_cases_life[];

#endif
