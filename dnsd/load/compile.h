/* compile: what its files share: compile.c (whole zones), compile_patch.c (changes of them). */
#ifndef DNSD_COMPILE_H
#define DNSD_COMPILE_H
#include "dnsd/dnsd.h"
#include "dnsd/image/image.h"

/* compile.c */
/* A mistake or a warning, of arg: struct compile. */
image_report_fn compile_report;
/* Secondaries go by the serial alone: what is another zone has a later one than the image before.
 * content: image_origin's; lost: which serial secondaries have is not known. */
void compile_serial(const struct compile *c, struct image_maker *m, const struct image *before,
		    uint64_t content, bool lost);

/* compile_patch.c */
/* Makes an overlay over the image before, where the store knows what has changed since and that is
 * little. changed: gets the names, as image_patch() has it. False: the whole zone is to be
 * compiled; nothing has happened. */
bool compile_patch(struct compile *c, const struct image *before, struct buf *changed);
#endif
