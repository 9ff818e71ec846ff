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

/* --- load.c -------------------------------------------------------------------------------------
 */
/* Serves the image that there is. True: it is that of the source as it is. Of a zone of the store
 * whose version is not known yet it is served whatever version it has. */
bool load_present(struct served *s);
/* Serves no image: SERVFAIL. */
void load_withdraw(struct served *s);
/* A zone's keys have moved on: the same zone in other views has to follow. */
void load_due_soon(void);

/* --- load_zones.c -------------------------------------------------------------------------------
 */
void load_zones_start(void);
/* A zone that is served from now on, without an image. file: its text; NULL: it is in the store. */
struct served *load_add(const uint8_t *wire, const char *file);
struct served *load_add_in(unsigned view, const uint8_t *wire, const char *file);
/* It is served no longer. */
void load_remove(struct served *s);
/* The last that is heard of one that is `gone`. */
void load_forget(struct served *s);
/* Nothing is known of it, as if there was no such zone; or it is served as any other again, without
 * an image. */
void load_leave(struct served *s, bool left);
/* The image is served from now on, and is taken over (NULL: none); that before goes. */
void load_serve(struct served *s, const struct image *image);
/* The same, and those who wait for changes are called. */
void load_exchange(struct served *s, const struct image *image);
/* Tells who listens to load_changed() that s has another image than before: that serial, 0: none.
 */
void load_tell(const struct served *s, uint32_t before);
/* Tells who load_watch()es that what zones there are has changed. */
void load_touch(void);

/* --- load_task.c --------------------------------------------------------------------------------
 */
/* done: called once, when there is no task and nothing to wait for. */
void load_tasks_start(int state, void (*done)(void));
/* What is to be done for s. */
struct compile load_compile(const struct served *s, bool force);
/* A task, which load_tasks_go() or the next load_task() begins. */
void load_queue(struct served *s);
void load_tasks_go(void);
/* r may be NULL. */
void load_task(struct served *s, bool force, struct reload *r);
/* The image is compiled anew when it has an overlay, and it is time (now: in any case). */
void load_merge(struct served *s, bool now);
/* DNSSEC_TELL ... */
void load_dnssec_task(struct served *s, unsigned what, uint32_t ds_ttl, struct reload *r);
/* zone-loaded: the image, made here in so many ms, or by another process, is about to be served. */
void load_log(const struct served *s, const struct image *image, bool built, uint64_t ms);
/* The zone goes. One that is in work is waited for: s is `gone` then, until load_forget(). */
void load_drop_tasks(struct served *s);
/* The start is not over while it waits for the store. */
void load_wait(bool on);

/* --- load_store.c -------------------------------------------------------------------------------
 */
/* The zones of the store whose images are there. */
void load_store_start(int state);
/* Asks the store whether it has the zone. */
void load_store_find(const struct served *s);
/* The zone's image was made in so many ms. */
void load_store_built(struct served *s, uint64_t ms);
/* A secondary is named, or no longer: whether it is left. */
void load_store_named(struct served *s);

/* --- load_orphan.c ------------------------------------------------------------------------------
 */
void load_orphan_start(int state);
/* All zones of the store are known, of the list that began then. */
void load_orphan_listed(time_t began);
/* A zone of the store has gone, and is not in dnsd.conf: its files go later, unless it comes again.
 */
void load_orphan_gone(const uint8_t *wire);

/* --- load_ctl.c ---------------------------------------------------------------------------------
 */
/* A zone's task is over. c NULL: the zone has gone. */
void load_reloaded(struct reload *r, const struct served *s, const struct compile *c);
#endif
