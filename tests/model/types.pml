/* SPDX-License-Identifier: Apache-2.0 */
/* struct record, in memory and on disk, and the state lines that Export has made. */

#define ACTIVE 1
#define INCOMING 2
#define EXPORTED 3

/* in_moves: how often Import has moved PRGENERATION; NEVER: not known, never exact again */
#define NEVER 7

typedef Record {
	unsigned state : 2;
	unsigned key : 2;
	bit holder;
	bit fenced;
	byte proven; /* PRGENERATION at the last proof of registration */
	unsigned out : 3; /* which line; 0: none */
	unsigned out_count : 2; /* the least that K was listed at the hand-over's Exports */
	bit out_saved;
	bit moved; /* out.moved: REGISTER AND MOVE is done */
	bit take_back;
	bit take_back_sent;
	unsigned in : 3;
	bit in_registered;
	bit in_loaded;
	bit in_done;
	bit in_ran;
	bit in_exact; /* PREEMPT was sent: own registration decides */
	bit in_added;
	bit in_tried; /* not on disk */
	unsigned in_moves : 3;
	bit preparing; /* the key of Prepare may stand */
	unsigned pending : 2; /* the key that the guest changes to */
	mtype step
}

Record mem[SIDES];
Record disk[SIDES];

#define M mem[me]
#define OUT line[M.out]
#define IN line[M.in]

/* struct record_terms; line 0 is none. The hand-over's id is the number of its first line. */
typedef Line {
	unsigned id : 3;
	unsigned row : 3;
	unsigned key : 2;
	bit fenced;
	byte generation;
	unsigned count : 2;
	bit moved;
	bit aged /* made before the LUN was reset: PRGENERATION needs longer to come back to where it was than a line is taken */
}
Line line[LINES + 2];
unsigned lines : 3;
