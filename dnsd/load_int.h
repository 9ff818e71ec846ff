/* load_int: the zones that are served; what the files load*.c share. */
#ifndef DNSD_LOAD_INT_H
#define DNSD_LOAD_INT_H
#include "dnsd/dnsd.h"
#include "dnsd/image.h"
#include "libcommon/base/list.h"

/* A `zone reload` that waits for its tasks. */
struct reload {
	struct control_call *call;
	unsigned left, failed;
};

/* load.c */
/* A zone that is served from now on, without an image. file: its text; NULL: it is in the store. */
struct served *load_add(const uint8_t *wire, const char *file);
/* It is served no longer. */
void load_remove(struct served *s);
/* r may be NULL. */
void load_task(struct served *s, bool force, struct reload *r);
/* load_ctl.c: a zone's task is over. c NULL: the zone has gone. */
void load_reloaded(struct reload *r, const struct served *s, const struct compile *c);
#endif
