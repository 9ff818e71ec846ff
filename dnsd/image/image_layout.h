/* image_layout: a file of nodes being written, an image's or an overlay's. */
#ifndef DNSD_IMAGE_LAYOUT_H
#define DNSD_IMAGE_LAYOUT_H
#include "dnsd/image/image_maker.h"

struct layout {
	struct image_maker *m;
	int fd;
	struct buf sheet;
	uint64_t at; /* octets of the file, those in the sheet among them */
	int err;     /* errno */
	struct image_head head;
	struct press press;
	/* The node being made. */
	const struct made_name *name;
	struct buf entries, pieces, wanted; /* wanted: hashes of targets */
	struct slot *slots;
	struct buf nsec, nsec3, targets, order;
};

/* image_layout.c */
void layout_out(struct layout *l, const void *p, size_t n);
void layout_pad(struct layout *l);
/* Where the next octet is going to be. */
uint32_t layout_place(struct layout *l);
/* The node of the name as it is. */
void layout_node(struct layout *l, struct made_name *n);
/* A node that was laid out at the place: it can be found from now on. */
void layout_slot(struct layout *l, uint64_t hash, uint32_t at);
void layout_nsec(struct layout *l, uint32_t at);
/* data: of the NSEC3 record at the name. */
void layout_nsec3(struct layout *l, const uint8_t *name, const uint8_t *data, uint32_t at);

/* image_overlay.c: the nodes of an overlay: those that are new, those of the overlay before that
 * are as they were. */
void overlay_nodes(struct layout *l);
/* Names that it may have, for its slots. */
uint32_t overlay_names(const struct image_maker *m);
#endif
