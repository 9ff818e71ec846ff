/* refresh_int: the secondaries; what the files refresh*.c share. */
#ifndef DNSD_REFRESH_INT_H
#define DNSD_REFRESH_INT_H
#include "dnsd/secondary/secondary.h"
#include "libcommon/base/list.h"

struct waiter { /* a `zone transfer` */
	struct list link;
	struct control_call *call;
};

struct secondary {
	struct list link;
	struct pool *pool;
	const uint8_t *wire;
	const char *name;
	const struct dns_server *server; /* its primaries */
	size_t servers_n, at;            /* at: the one that is asked next */
	const char *refresh_file, *lock_file;
	/* What is known of the zone. */
	bool have;
	struct zone_soa soa;
	uint64_t fresh_ms; /* when it was last found good; 0: never */
	bool expired;
	bool shown; /* there is an image of it */
	/* When it is to be asked for; wanted: at once. */
	uint64_t due_ms, ended_ms;
	bool wanted, whole; /* whole: by AXFR, whatever its serial */
	bool reset;         /* whole, until it was had so */
	bool gone;          /* it is freed when it is busy no longer */
	unsigned failed;    /* times in a row */
	char why[300];      /* of the last time; "": it went well */
	struct list waiters;
	/* While it is asked for: those who wait for this time, not for the next. */
	struct list present;
	bool busy, whole_now;
	bool asked;   /* for a reason, which is no time: NOTIFY or a command */
	bool insists; /* that came to nothing: this process tries again, also if it does not lead */
	int lock;
	off_t marks;     /* octets: refresh_file.c */
	size_t tried;    /* servers */
	uint32_t serial; /* that the store has */
	uint64_t records, octets;
};
struct refresh_counts {
	size_t zones;
	unsigned expired;
	uint64_t transfers, failures;
};

/* refresh.c */
/* NULL: it is none. */
struct secondary *refresh_find(const uint8_t *wire);
/* It is asked for as soon as may be. */
void refresh_want(struct secondary *s);
uint64_t refresh_expires(const struct secondary *s); /* ms since 1970 */
/* A NOTIFY came from this one of its servers. */
void refresh_notified(struct secondary *s, const struct dns_server *from);
const struct dns_server *refresh_server(const struct secondary *s); /* that is asked next */
struct refresh_counts refresh_count(void);

/* The end of refresh_ask(). said: to who waits; fetched: the store has another one now. */
void refresh_good(struct secondary *s, const struct zone_soa *soa, const char *said, bool fetched);
void refresh_bad(struct secondary *s); /* s->why tells */

/* refresh_ask.c: asks the store and then the servers; s is busy and has its lock. */
void refresh_ask(struct secondary *s);

/* refresh_file.c */
void refresh_files(int folder);
void refresh_file_names(struct secondary *s);
uint64_t refresh_file_time(const struct secondary *s); /* when it was last good; 0: never */
void refresh_file_note(struct secondary *s, uint64_t now);
/* False: another process has it. */
bool refresh_file_lock(struct secondary *s);
void refresh_file_unlock(struct secondary *s, bool fetched); /* fetched: the marks are dealt with */
/* It is wanted, also if this process is killed now. */
void refresh_file_mark(const struct secondary *s);
bool refresh_file_marked(const struct secondary *s);

/* refresh_dead.c: the server was not reached a moment ago; that it was not, or was, now. */
bool refresh_dead(const struct dns_server *v);
void refresh_dead_set(const struct dns_server *v, bool is_dead);
#endif
