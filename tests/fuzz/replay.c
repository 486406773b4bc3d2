/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a target over the inputs that are kept: the files of the directories given. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"

#define INPUT_MAX (1 << 20)

static void replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *buffer = malloc(INPUT_MAX), *data;
	size_t size;

	if (file == NULL || buffer == NULL)
		fuzz_fail(__FILE__, __LINE__, "%s: %s", path, strerror(errno));
	size = fread(buffer, 1, INPUT_MAX, file);
	if (ferror(file) || size == INPUT_MAX)
		fuzz_fail(__FILE__, __LINE__, "%s cannot be read, or is too long", path);
	fclose(file);
	data = fuzz_copy(buffer, size);
	free(buffer);
	/* What comes last in the output is what ended this. */
	printf("%s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
}

static void replay_directory(const char *name)
{
	struct dirent **entries;
	int count = scandir(name, &entries, NULL, alphasort);

	if (count < 0)
		fuzz_fail(__FILE__, __LINE__, "%s: %s", name, strerror(errno));
	for (int i = 0; i < count; i++) {
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", name, entries[i]->d_name);
		if (entries[i]->d_name[0] != '.')
			replay_file(path);
		free(entries[i]);
	}
	free(entries);
}

int main(int argc, char **argv)
{
	bool good;

	for (int i = 1; i < argc; i++)
		replay_directory(argv[i]);
	good = fuzz_deep_inputs() > 0;
	printf("%llu inputs, %llu deep\n", fuzz_inputs(), fuzz_deep_inputs());
	printf("%d passed, %d failed\n", good, !good);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
