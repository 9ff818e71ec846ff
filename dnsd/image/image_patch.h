/* image_patch: small changes of a large image. The names whose records have changed are given with
 * the records that they have now; what else has to be another way because of them is found here:
 * names between them and the zone that come or go, what is at or below a delegation, answers that
 * bring their addresses along. Of all these the nodes are made anew, in a file that lies over the
 * image, with those of the overlay that there was. A look-up, a proof, a transfer sees one zone.
 *
 * The rest is as with a whole image: image_add(), image_set_origin(), image_finish(). The zone is
 * the same as if it were compiled from all its records, but for the order of records. */
#ifndef DNSD_IMAGE_PATCH_H
#define DNSD_IMAGE_PATCH_H
#include "dnsd/image/image.h"
#include "libcommon/base/buf.h"

/* before: what there is, in the file `path`; it outlives the maker. most: names of the overlay.
 * changed: gets the names (wire form, one behind the other) whose records are other ones when
 * image_finish() has done it; may be NULL. */
struct image_maker *image_patch(int folder, const char *path, const struct image *before,
				const struct image_options *o, uint32_t most, struct buf *changed);
/* The name has the records that are added from now on, or none. The zone's own name must be one.
 * False: it is not in the zone. */
bool image_patch_name(struct image_maker *m, const uint8_t *owner);
/* All records are there. False: this is a change that needs a whole image, or too much: abort. */
bool image_patch_ready(struct image_maker *m);
/* Then: image_origin's content and records. */
uint64_t image_patch_content(const struct image_maker *m);
uint64_t image_patch_records(const struct image_maker *m);
#endif
