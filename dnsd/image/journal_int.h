/* journal_int: what a journal's file consists of. Numbers are as the machine that wrote it has
 * them; nothing is aligned.
 *
 *     head | step: head, chunks | step ...          a chunk: head, records as zonechunk has them */
#ifndef DNSD_JOURNAL_INT_H
#define DNSD_JOURNAL_INT_H
#include "dnsd/image/journal.h"
#include "libcommon/base/sip.h"

enum {
	JOURNAL_VERSION = 1,
	JOURNAL_CHUNK = 64 << 10, /* octets after which a chunk ends */
};
#define JOURNAL_MAGIC "hamlet-j"
#define JOURNAL_ORDER 0x01020304u

struct journal_head {
	char magic[8];
	uint32_t version, order;
	uint8_t zone[DNS_NAME_MAX + 1]; /* zeros behind it */
};
struct step_head {
	uint64_t sum; /* of what follows it here */
	uint32_t from, to;
	uint64_t size; /* octets of its chunks, their heads included */
};
struct chunk_head {
	uint64_t sum; /* of the chunk */
	uint64_t size;
};
struct journal {
	const uint8_t *p;
	size_t size;
	bool mapped;
};

uint64_t journal_sum(const void *p, size_t len);
/* The step at *at, which is moved behind it. False: no more, or damaged. */
bool journal_step(const struct journal *j, size_t *at, struct step_head *out);
/* "a.test.image" -> "a.test.journal" and the same with a suffix behind it. False: too long. */
bool journal_name(char *out, size_t cap, const char *image_name, const char *suffix);
#endif
