/* Files of zones that are gone. The leader removes them, when it knows which zones there are: the
 * store has listed its own, catalogs theirs. What others may be at work on has a lock, or is new,
 * and is left. */
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "dnsd/catalog/catalog.h"
#include "dnsd/image/beside.h"
#include "dnsd/leader.h"
#include "dnsd/load/load_int.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "libcommon/net/loop.h"

enum {
	TRY_MS = 1000,  /* so often it is looked whether all is known */
	GONE_MS = 5000, /* after a zone went: whoever is at work on it has ended, or will have */
	AGE_SEC = 2,    /* files that are newer may be of zones that came after the list */
	SUFFIX = 6,     /* ".image" */
};

/* What there may be of a zone, its locks last. */
static const char *const KINDS[] = {
    ".image",         ".image.new",   ".image.targets", ".image.aliases", ".image.addresses",
    ".image.members", ".image.begun", ".journal",       ".journal.new",   ".refresh",
    ".overlay",       ".overlay.new", ".image.lock",    ".xfr",
};
enum { KINDS_N = sizeof(KINDS) / sizeof(KINDS[0]), LOCKS = 2 };

struct gone {
	struct list link;
	uint64_t due; /* clock_mono() */
	uint8_t wire[DNS_NAME_MAX];
};

static struct {
	int state;
	time_t listed; /* when the list of the store's zones began, as files have it */
	struct timer sweep, later;
	struct list gone; /* in the order in which they are due */
} self;

static void removed(const char *file)
{
	log_event(LOG_LV_INFO, NULL, "orphan-removed", LS("file", file));
}

/* --- all files ---------------------------------------------------------------------------------
 */

/* The file's kind; NULL: it is of no zone. */
static const char *const *kind_of(const char *file)
{
	size_t len = strlen(file);
	for (size_t i = 0; i < KINDS_N; i++) {
		size_t kind = strlen(KINDS[i]);
		if (len > kind && strcmp(file + len - kind, KINDS[i]) == 0)
			return &KINDS[i];
	}
	return NULL;
}

static void remove_lock(const char *file)
{
	int fd = beside_lock(self.state, file, false);
	if (fd < 0)
		return;
	if (unlinkat(self.state, file, 0) == 0)
		removed(file);
	close(fd);
}

/* arg: the names of the zones that there are, as their files have them. */
static void look(void *arg, const char *file)
{
	const char *const *kind = kind_of(file);
	struct stat st;
	if (!kind || map_get(arg, file, strlen(file) - strlen(*kind)) ||
	    fstatat(self.state, file, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    st.st_mtim.tv_sec + AGE_SEC > self.listed)
		return;
	if (kind >= KINDS + KINDS_N - LOCKS)
		remove_lock(file);
	else if (unlinkat(self.state, file, 0) == 0)
		removed(file);
}

static void sweep(struct timer *t)
{
	if (!leader() || !catalogs_known()) {
		timer_set(t, TRY_MS, sweep);
		return;
	}
	struct map *names = map_new();
	for (unsigned i = 0; i < load_end(); i++) {
		const struct served *s = load_zone(i);
		if (s)
			map_set(names, s->image_name, strlen(s->image_name) - SUFFIX,
				(void *)(uintptr_t)s);
	}
	beside_each(self.state, look, names);
	map_free(&names);
}

void load_orphan_listed(time_t began)
{
	/* Without the store's zones it is not known whose files these are. */
	if (!conf.store)
		return;
	self.listed = began;
	sweep(&self.sweep);
}

/* --- a zone that goes --------------------------------------------------------------------------
 */

/* False: somebody is at work on it. */
static bool remove_files(const char *image_name)
{
	char name[LOCKS][NAME_MAX + 1], file[NAME_MAX + 1];
	int lock[LOCKS], n = (int)strlen(image_name) - SUFFIX;
	bool free = true;
	for (int i = 0; i < LOCKS; i++) {
		str_fmt(name[i], sizeof(name[i]), "%.*s%s", n, image_name,
			KINDS[KINDS_N - LOCKS + i]);
		lock[i] = beside_lock(self.state, name[i], false);
		free &= lock[i] >= 0;
	}
	for (size_t i = 0; free && i < KINDS_N; i++)
		if (str_fmt(file, sizeof(file), "%.*s%s", n, image_name, KINDS[i]))
			unlinkat(self.state, file, 0);
	for (int i = 0; i < LOCKS; i++)
		if (lock[i] >= 0)
			close(lock[i]);
	return free;
}

static void on_later(struct timer *t)
{
	uint64_t now = clock_mono();
	struct pool *pool = pool_new(0);
	while (!list_empty(&self.gone)) {
		struct gone *g = list_entry(self.gone.next, struct gone, link);
		if (g->due > now) {
			timer_set(t, g->due - now, on_later);
			break;
		}
		list_del(&g->link);
		if (load_find(g->wire) || remove_files(compile_image_name(pool, g->wire))) {
			free(g);
			continue;
		}
		g->due = now + GONE_MS;
		list_add_tail(&self.gone, &g->link);
	}
	pool_free(&pool);
}

void load_orphan_gone(const uint8_t *wire)
{
	if (!leader())
		return;
	struct gone *g = mem_alloc(sizeof(*g));
	memcpy(g->wire, wire, dns_name_len(wire));
	g->due = clock_mono() + GONE_MS;
	list_add_tail(&self.gone, &g->link);
	if (!timer_is_set(&self.later))
		timer_set(&self.later, GONE_MS, on_later);
}

void load_orphan_start(int state)
{
	self.state = state;
	list_init(&self.gone);
}
