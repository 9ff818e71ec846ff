/* load_int: the zones that are served; what the files load*.c share. */
#ifndef DNSD_LOAD_INT_H
#define DNSD_LOAD_INT_H
#include "dnsd/dnsd.h"
#include "dnsd/image/image.h"
#include "libcommon/base/list.h"

/* A `zone reload` that waits for its tasks. */
struct reload {
	struct control_call *call;
	unsigned left, failed;
};

/* load.c */
/* A zone that is served from now on, without an image. file: its text; NULL: it is in the store. */
struct served *load_add(const uint8_t *wire, const char *file);
struct served *load_add_in(unsigned view, const uint8_t *wire, const char *file);
/* Tells who load_watch()es that what zones there are has changed. */
void load_touch(void);
/* It is served no longer. */
void load_remove(struct served *s);
/* Serves the image that there is. True: it is that of the source as it is. Of a zone of the store
 * whose version is not known yet it is served whatever version it has. */
bool load_present(struct served *s);
/* Nothing is known of it, as if there was no such zone; or it is served as any other again, without
 * an image. */
void load_leave(struct served *s, bool left);
/* load_store.c: whether it is left. */
void load_store_named(struct served *s);
/* Serves no image: SERVFAIL. */
void load_withdraw(struct served *s);
/* The start is not over while it waits for the store. */
void load_wait(bool on);
/* load_store.c: asks the store whether it has the zone. */
void load_store_find(const struct served *s);
/* load_store.c: the zones of the store whose images are there. */
void load_store_start(int state);
/* load_store.c: the zone's image was made in so many ms. */
void load_store_built(struct served *s, uint64_t ms);
/* r may be NULL. */
void load_task(struct served *s, bool force, struct reload *r);
/* DNSSEC_TELL ... */
void load_dnssec_task(struct served *s, unsigned what, uint32_t ds_ttl, struct reload *r);
/* load_ctl.c: a zone's task is over. c NULL: the zone has gone. */
void load_reloaded(struct reload *r, const struct served *s, const struct compile *c);
#endif
