/* image_int: what an image consists of. Places are offsets from the file's start in units of four
 * octets, so that whatever stands there is aligned.
 *
 *     head | nodes, in canonical order of their names | places of NSEC | hashes of NSEC3 |
 *     targets | sorted | slots
 *
 * A few changes of a large zone make no new file of it but one of the same kind beside it, its
 * overlay (image_patch.h): the nodes of all names whose answers are other ones, and marks where a
 * name has gone. It is looked at first, and belongs to one image, whose key it has. Its zone's own
 * name is always in it; all its nodes have slots; `sorted` has their places.
 *
 * A node is its head, its entries, its name, and then the pieces that the entries lead to. Names
 * that own nothing but NSEC3 are nodes without a slot: nobody can ask for them (RFC 5155 7.2.8).
 *
 * The pointers of a piece count on this message: 12 octets of header, the node's name, 4 octets
 * of type and class, and then the rrset's main piece (PART_ANSWER or PART_REFERRAL). Those into the
 * name and those into the main piece (PIECE_MAIN is set in their place) may have to be shifted by
 * different numbers. The owners of answers are no such pointers: they are c00c, which is right
 * for a wildcard's, too. */
#ifndef DNSD_IMAGE_INT_H
#define DNSD_IMAGE_INT_H
#include "dnsd/image/image.h"
#include "libcommon/base/sip.h"

enum {
	IMAGE_VERSION = 5,
	IMAGE_UNIT = 4,
	IMAGE_SALT = 255,
	NSEC3_HASH = 20, /* octets of a SHA-1 */
	OWNER_QUESTION = 0xc00c,
};
#define IMAGE_MAGIC "hamlet-z"
#define IMAGE_ORDER 0x01020304u /* as the machine that wrote it has it */

struct image_head {
	/* In all versions of an image the head begins so, up to the serial: image_serial_left(). */
	char magic[8];
	uint32_t version, order;
	uint64_t size;          /* octets of the file */
	uint8_t key[SIP_KEY];   /* of the names' hashes */
	uint32_t serial, names; /* an overlay's: those of both together */
	uint64_t records;
	uint64_t over; /* sum of the head of what it lies over; 0: it is no overlay */
	struct image_origin origin;
	uint32_t nodes, nodes_end;   /* places */
	uint32_t apex;               /* place of its node */
	uint32_t nsec, nsec_n;       /* places of the nodes that have NSEC, in canonical order */
	uint32_t nsec3, nsec3_n;     /* struct hash_slot, ascending */
	uint32_t targets, targets_n; /* struct target_slot, by their hashes */
	uint32_t sorted, sorted_n;   /* places of the nodes of an overlay */
	uint32_t slots, slots_n;     /* struct slot */
	uint32_t probes;             /* slots that a name may be away from where it belongs */
	uint16_t iterations;         /* of NSEC3 */
	uint8_t salt_len, zone_len, zone_labels;
	uint8_t salt[IMAGE_SALT];
	uint8_t zone[DNS_NAME_MAX];
	uint64_t sum; /* of all before it */
};

struct slot {
	uint32_t tag; /* lower half of the hash; the upper one tells where to look */
	uint32_t at;  /* 0: free */
};

struct hash_slot {
	uint32_t top; /* the first four octets of the hash, as a number */
	uint32_t at;  /* its node */
};

/* A name that has records at the other name, with the addresses of which they are answered: when
 * these change, so does its node. Names that are not there (yet) are among them. */
struct target_slot {
	uint32_t hash; /* lower half of the target's */
	uint32_t at;   /* the node with the records */
};

enum {
	NODE_CUT = 1,
	NODE_BELOW = 2, /* a cut or a DNAME: nothing here is answered; LINK leads to the cut */
	NODE_DNAME = 4,
	NODE_CNAME = 8,
	NODE_WILD = 16,  /* the wildcard below it exists */
	NODE_NSEC3 = 32, /* has nothing but NSEC3 */
	NODE_GONE = 64,  /* in an overlay: there is no such name any more */
};

/* An entry whose place is that of another node; in an overlay: octets of the node's name before
 * that of the other one. */
enum { PART_LINK = 100 };

struct entry {
	uint16_t type, part;
	uint32_t at;
};

struct node {
	uint32_t size; /* in units, with its pieces */
	uint8_t flags, name_len;
	uint16_t entries;
	struct entry entry[];
};

struct piece_head {
	uint16_t len, records, pointers, none;
	uint8_t bytes[]; /* then, aligned to two octets, the pointers' places */
};

struct image_file { /* mapped; images that differ in their overlays share it */
	const uint8_t *p;
	size_t size;
	uint64_t device, inode;
	_Atomic unsigned held;
};
struct layer { /* a file's content; all zero: there is none */
	const uint8_t *p;
	size_t size;
	const struct image_head *head;
	const struct slot *slots;
};
struct image {
	struct layer base, over;
	struct image_file *file, *over_file; /* NULL: the bytes are the caller's */
	_Atomic unsigned held;               /* how often it is to be closed, once aside */
};

/* The layer that tells of the zone as a whole. */
static inline const struct layer *image_top(const struct image *i)
{
	return i->over.p ? &i->over : &i->base;
}
/* The one that the node is in. */
static inline const struct layer *image_layer(const struct image *i, const struct node *n)
{
	const uint8_t *p = (const uint8_t *)n;
	return i->over.p && p >= i->over.p && p < i->over.p + i->over.size ? &i->over : &i->base;
}

static inline size_t image_pad(size_t n, size_t to)
{
	return (n + to - 1) / to * to;
}

uint64_t image_sum(const struct image_head *h);
/* An image of bytes that stay the caller's. */
struct image *image_from(const void *p, size_t len, const char **why);
/* With an overlay over it; of another image it is none. False: *why. */
bool image_cover(struct image *i, const void *p, size_t len, const char **why);
/* "a.test.image" -> "a.test.overlay" and the same with a suffix behind it. False: too long. */
bool image_overlay_name(char *out, size_t cap, const char *path, const char *suffix);
/* The hash by which a name is found; rel: its octets without the zone's name. */
static inline uint64_t image_hash(const uint8_t key[SIP_KEY], const uint8_t *name, size_t rel)
{
	return sip13(key, name, rel);
}
static inline uint32_t image_slot(uint64_t hash, uint32_t slots)
{
	return (uint32_t)((hash >> 32) * slots >> 32);
}

/* NULL: there is none, the image is damaged. */
const struct node *image_node(const struct layer *l, uint32_t at);
/* The node of that very name, also one that nobody can ask for, or that an overlay marks as gone;
 * *out NULL: there is none. False: damaged. */
bool image_layer_find(const struct image *i, const struct layer *l, const uint8_t *name, size_t len,
		      const struct node **out);
/* The name has a node (which a mark is not): its own records are in it. */
bool image_exact(const struct image *i, const uint8_t *name, size_t len, struct image_match *out);
/* A cursor for image_next() that stands before the name, which has a node: it comes first, then
 * those below it. */
bool image_seek(const struct image *i, const uint8_t *name, size_t len, uint64_t *at);
static inline const uint8_t *image_name(const struct node *n)
{
	return (const uint8_t *)(n->entry + n->entries);
}

static inline bool image_match_of(const struct node *n, struct image_match *out)
{
	if (!n || dns_name_check(image_name(n), n->name_len) != n->name_len)
		return false;
	*out = (struct image_match){.found = n->entries ? IMAGE_NAME : IMAGE_EMPTY,
				    .node = n,
				    .name = image_name(n),
				    .name_len = n->name_len};
	return true;
}

/* image_denial.c: the neighbours of a name in the chain of NSEC, whether it is there itself or not.
 * False: there is none on that side. */
bool image_chain_before(const struct image *i, const uint8_t *name, struct image_match *out);
bool image_chain_after(const struct image *i, const uint8_t *name, struct image_match *out);
/* Those of a hash in the circle of NSEC3: the record, and its hash. False: there are none. */
bool image_circle_before(const struct image *i, const uint8_t hash[NSEC3_HASH],
			 struct image_match *out, uint8_t found[NSEC3_HASH]);
bool image_circle_after(const struct image *i, const uint8_t hash[NSEC3_HASH],
			struct image_match *out, uint8_t found[NSEC3_HASH]);

/* RFC 5155 5: the hash of a lower-case name. */
void nsec3_hash(const uint8_t *name, size_t len, const uint8_t *salt, size_t salt_len,
		unsigned iterations, uint8_t out[NSEC3_HASH]);
/* Reads 32 letters of base32hex; false: they are none. */
bool nsec3_label(const uint8_t *label, uint8_t out[NSEC3_HASH]);
#endif
