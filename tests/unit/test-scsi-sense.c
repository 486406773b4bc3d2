/* SPDX-License-Identifier: Apache-2.0 */
#include "check.h"
#include "scsi.h"

static void build(void)
{
	static const uint8_t want[SCSI_SENSE_MAX] = {0x70, 0, 5, 0,    0,    0, 0, 10, 0,
						     0,	   0, 0, 0x26, 0x04, 0, 0, 0,  0};
	uint8_t sense[SCSI_SENSE_MAX];

	memset(sense, 0xff, sizeof(sense));
	CHECK_INT(scsi_sense_build(sense, SCSI_ILLEGAL_REQUEST, 0x2604), 18);
	CHECK_BYTES(sense, want, sizeof(want));
}

static void point(void)
{
	static const uint8_t want[18] = {0x70, 0, 5, 0,	   0, 0, 0,    10,   0,
					 0,    0, 0, 0x24, 0, 0, 0xc0, 0x01, 0x02};
	uint8_t sense[SCSI_SENSE_MAX];

	scsi_sense_build(sense, SCSI_ILLEGAL_REQUEST, SCSI_ASC_INVALID_FIELD_IN_CDB);
	scsi_sense_point(sense, true, 0x102);
	CHECK_BYTES(sense, want, sizeof(want));
	scsi_sense_point(sense, false, 8);
	CHECK_BYTES(sense + 15, "\x80\x00\x08", 3);
}

static void build_then_parse(void)
{
	uint8_t sense[SCSI_SENSE_MAX], key;
	uint16_t asc_ascq;

	scsi_sense_build(sense, SCSI_UNIT_ATTENTION, SCSI_ASC_RESERVATIONS_PREEMPTED);
	CHECK(scsi_sense_parse(sense, 18, &key, &asc_ascq));
	CHECK_INT(key, SCSI_UNIT_ATTENTION);
	CHECK_INT(asc_ascq, 0x2a03);
}

static void formats(void)
{
	static const struct {
		uint8_t sense[18];
		bool good;
		uint8_t key;
		uint16_t asc_ascq;
	} rows[] = {
		{{0x70, 0, 0x06, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 0x01}, true, 6, 0x2901},
		{{0xf0, 0, 0xe3, 1, 2, 3, 4, 10, 0, 0, 0, 0, 0x11, 0x00}, true, 3, 0x1100},
		{{0x71, 0, 0x04, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0x44, 0x02}, true, 4, 0x4402},
		/* ADDITIONAL SENSE LENGTH ends before the additional sense code */
		{{0x70, 0, 0x02, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0x29, 0x01}, true, 2, 0},
		{{0x70, 0, 0x0b, 0, 0, 0, 0, 0}, true, 11, 0},
		{{0x72, 0x06, 0x2a, 0x05, 0, 0, 0, 0}, true, 6, 0x2a05},
		{{0xf3, 0xf5, 0x24, 0x00, 0, 0, 0, 0}, true, 5, 0x2400},
		{{0x00, 0, 6}, false, 0, 0},
		{{0x6f, 0, 6, 0, 0, 0, 0, 10}, false, 0, 0},
		{{0x74, 6, 0x2a, 3, 0, 0, 0, 10}, false, 0, 0},
		{{0x7f, 6, 0x2a, 3, 0, 0, 0, 10}, false, 0, 0},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t key = 0x55;
		uint16_t asc_ascq = 0x5555;

		CHECK_INT(scsi_sense_parse(rows[i].sense, 18, &key, &asc_ascq), rows[i].good);
		CHECK_INT(key, rows[i].good ? rows[i].key : 0x55);
		CHECK_INT(asc_ascq, rows[i].good ? rows[i].asc_ascq : 0x5555);
	}
}

static void short_lengths(void)
{
	static const struct {
		uint8_t sense[18];
		size_t least;
	} rows[] = {
		{{0x70, 0, 6, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x29, 1}, 14},
		{{0x70, 0, 6, 0, 0, 0, 0, 0xff, 0, 0, 0, 0, 0x29, 1}, 14},
		{{0x70, 0, 6, 0, 0, 0, 0, 0}, 8},
		{{0x72, 6, 0x29, 1, 0, 0, 0, 0}, 4},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (size_t len = 0; len <= 18; len++) {
			uint8_t *sense = check_copy(rows[i].sense, len), key = 0x55;
			uint16_t asc_ascq = 0x5555;
			bool good = scsi_sense_parse(sense, len, &key, &asc_ascq);

			CHECK_INT(good, len >= rows[i].least);
			CHECK_INT(key, good ? 6 : 0x55);
			if (!good)
				CHECK_INT(asc_ascq, 0x5555);
			free(sense);
		}
}

int main(void)
{
	CHECK_RUN(build);
	CHECK_RUN(point);
	CHECK_RUN(build_then_parse);
	CHECK_RUN(formats);
	CHECK_RUN(short_lengths);
	return check_summary();
}
