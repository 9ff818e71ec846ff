/* log: one event a line, "EVENT key=value ...", to stderr or syslog.
 * Values are quoted and escaped as needed, so that a peer's bytes cannot forge a line.
 * Secrets never go in. */
#ifndef BASE_LOG_H
#define BASE_LOG_H
#include <stdbool.h>
#include <stdint.h>
#include "libcommon/base/str.h"

enum log_level { LOG_LV_ERROR, LOG_LV_WARN, LOG_LV_INFO, LOG_LV_DEBUG };
enum log_to { LOG_TO_STDERR, LOG_TO_SYSLOG };

struct log_kv {
	const char *key; /* NULL ends the list */
	enum { LOG_KV_STR, LOG_KV_SLICE, LOG_KV_U64, LOG_KV_I64 } type;
	union {
		const char *s;
		struct slice sl;
		uint64_t u;
		int64_t i;
	} v;
};

/* A NULL string leaves the pair out. */
#define LS(k, x)  ((struct log_kv){.key = (k), .type = LOG_KV_STR, .v.s = (x)})
#define LSL(k, x) ((struct log_kv){.key = (k), .type = LOG_KV_SLICE, .v.sl = (x)})
#define LU(k, x)  ((struct log_kv){.key = (k), .type = LOG_KV_U64, .v.u = (x)})
#define LI(k, x)  ((struct log_kv){.key = (k), .type = LOG_KV_I64, .v.i = (x)})

/* log_event(LOG_LV_INFO, "k3f9", "accepted", LS("from", from), LU("size", n));
 * sid (session or message id) may be NULL. At least one pair must be given. */
#define log_event(level, sid, event, ...) \
	log_emit((level), (sid), (event), (const struct log_kv[]){__VA_ARGS__, {.key = NULL}})

/* name stands before every stderr line and is the syslog ident; it must stay valid. */
void log_init(const char *name, enum log_to to, enum log_level max);
/* The least important level that is written. */
void log_set_level(enum log_level max);
bool log_wants(enum log_level level);
void log_emit(enum log_level level, const char *sid, const char *event, const struct log_kv *kv);
/* A free text line: for start-up messages. */
void log_text(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
