/* segment: append-only files that hold the larger bodies of one database: DIR/00000001 and so
 * on. A file starts with a header of 16 bytes; then records, each at a multiple of 8:
 *   u32 magic, u32 checksum of the rest of the header, u64 id, u64 length, u32 checksum of the
 *   bytes, u32 zero; then the bytes.   (little endian; CRC-32C)
 * One thread appends; any thread reads. What was appended is durable after segments_sync() and
 * belongs to the store once a row that names its place is committed: bytes behind the last such
 * record are leavings of an operation that was undone, and are written over. */
#ifndef STORED_SEGMENT_H
#define STORED_SEGMENT_H
#include <stdbool.h>
#include <stdint.h>
#include "libcommon/base/str.h"

struct segments;
struct place {
	uint64_t segment; /* 1.. ; 0: nowhere */
	uint64_t at;      /* of the record */
};

/* Opens DIR (made if missing); a new file is begun once one has `size` bytes. last, last_len:
 * the last record that the database knows (segment 0: none). What lies behind it in the last
 * file is looked at: a torn tail is cut off and logged. A damaged record before it is logged
 * and left alone, and a new file begun. frozen: for reading alone. NULL with *why. */
struct segments *segments_open(const char *dir, uint64_t size, struct place last, uint64_t last_len,
			       bool frozen, const char **why);
void segments_close(struct segments **s);

/* --- the writer's thread --- */
/* 0, or an errno: ENOSPC when the disk is full. *crc is the bytes' checksum. */
int segments_append(struct segments *s, uint64_t id, struct slice bytes, struct place *out,
		    uint32_t *crc);
/* Where the next record goes; segments_undo() goes back there. */
struct place segments_mark(const struct segments *s);
void segments_undo(struct segments *s, struct place mark);
/* Makes durable what was appended. 0 or an errno: then stop and recover. */
int segments_sync(struct segments *s);
/* Calls fn for each file, in order, with its size. */
void segments_each(struct segments *s, void (*fn)(void *arg, uint64_t segment, uint64_t bytes),
		   void *arg);
void segments_remove(struct segments *s, uint64_t segment); /* never the one appended to */

/* --- any thread --- */
enum seg_read {
	SEG_OK,
	SEG_GONE,   /* no such file */
	SEG_BAD,    /* not that record, or its checksum is wrong */
	SEG_FAILED, /* I/O error */
};
/* Reads len bytes of the record's `size` from `off` into out (which has room for them). The
 * whole record (off 0, len == size) is checked against its checksum. */
enum seg_read segments_read(struct segments *s, struct place at, uint64_t id, uint64_t size,
			    uint64_t off, uint64_t len, void *out);
const char *segments_dir(const struct segments *s);
/* "00000001" */
#define SEGMENT_NAME 24
void segment_name(char out[SEGMENT_NAME], uint64_t segment);
#endif
