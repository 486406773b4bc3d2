/* SPDX-License-Identifier: Apache-2.0 */
/* The conformance cases, in the order of their numbers; and that none is missing. */
#include "check.h"
#include "unit/engine-cases.h"

static const struct engine_case *const files[] = {
	engine_cases_in,   engine_cases_register, engine_cases_reserve, engine_cases_preempt,
	engine_cases_move, engine_cases_matrix,	  engine_cases_life,
};

static const struct engine_case *find(unsigned int number, unsigned int *ret_count)
{
	const struct engine_case *found = NULL;

	*ret_count = 0;
	for (size_t file = 0; file < sizeof(files) / sizeof(files[0]); file++)
		for (const struct engine_case *at = files[file]; at->number != 0; at++)
			if (at->number == number) {
				found = at;
				(*ret_count)++;
			}
	return found;
}

static void each_case_is_there_once(void)
{
	unsigned int count, all = 0;

	for (unsigned int number = 1; number <= ENGINE_CASES; number++) {
		find(number, &count);
		CHECK_INT(count, 1);
	}
	for (size_t file = 0; file < sizeof(files) / sizeof(files[0]); file++)
		for (const struct engine_case *at = files[file]; at->number != 0; at++)
			all++;
	CHECK_INT(all, ENGINE_CASES);
}

int main(void)
{
	CHECK_RUN(each_case_is_there_once);
	for (unsigned int number = 1; number <= ENGINE_CASES; number++) {
		unsigned int count;
		const struct engine_case *found = find(number, &count);

		if (found != NULL)
			check_run(found->name, found->run);
	}
	return check_summary();
}
