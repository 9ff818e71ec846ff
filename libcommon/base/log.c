#include "libcommon/base/log.h"
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <syslog.h>
#include <unistd.h>
#include "libcommon/base/clock.h"

enum {
	LINE_MAX_BYTES = 4096, /* PIPE_BUF: a pipe takes a line whole or not at all */
	FULL_MS = 100,         /* how long a full pipe is waited for */
};

static const char *log_name = "hamlet";
static enum log_to log_dest = LOG_TO_STDERR;
static enum log_level log_max = LOG_LV_INFO;
static bool log_child; /* stderr goes to hamletd, which adds the time and files the line */

static const int SYSLOG_LEVEL[] = {LOG_ERR, LOG_WARNING, LOG_INFO, LOG_DEBUG};
static const char *const LEVEL_NAME[] = {"error", "warning", "info", "debug"};

struct out {
	char text[LINE_MAX_BYTES];
	size_t len;
};

void log_init(const char *name, enum log_to to, enum log_level max)
{
	log_name = name;
	log_dest = to;
	log_max = max;
	log_child = getenv("HAMLET_LOG_CHILD") != NULL;
	if (to == LOG_TO_SYSLOG)
		openlog(log_name, LOG_PID | LOG_NDELAY, LOG_MAIL);
}

void log_set_level(enum log_level max)
{
	log_max = max;
}

bool log_wants(enum log_level level)
{
	return level <= log_max;
}

static void put(struct out *o, const char *p, size_t n)
{
	size_t room = sizeof(o->text) - 2 - o->len; /* newline and NUL */
	if (n > room)
		n = room;
	memcpy(o->text + o->len, p, n);
	o->len += n;
}

static void puts_out(struct out *o, const char *s)
{
	put(o, s, strlen(s));
}

static bool plain(struct slice s)
{
	if (s.len == 0)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c <= ' ' || c == '"' || c == '\\' || c == '=' || c >= 127)
			return false;
	}
	return true;
}

/* Quoted, control bytes and bytes that are not UTF-8 as \xNN: a peer's bytes forge no line. */
static void put_value(struct out *o, struct slice s)
{
	if (plain(s)) {
		put(o, s.p, s.len);
		return;
	}
	bool utf8 = str_utf8(s);
	put(o, "\"", 1);
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '"' || c == '\\') {
			char two[2] = {'\\', (char)c};
			put(o, two, 2);
		} else if (str_control_at(s, i) || (c > 127 && !utf8)) {
			char hex[5];
			snprintf(hex, sizeof(hex), "\\x%02x", c);
			put(o, hex, 4);
		} else {
			put(o, s.p + i, 1);
		}
	}
	put(o, "\"", 1);
}

static void begin(struct out *o, enum log_level level)
{
	char text[96];
	o->len = 0;
	if (log_dest == LOG_TO_SYSLOG)
		return;
	if (log_child) {
		snprintf(text, sizeof(text), "<%d>%s[%d]: ", SYSLOG_LEVEL[level], log_name,
			 (int)getpid());
	} else {
		char iso[32];
		clock_iso(iso, sizeof(iso), clock_ms());
		snprintf(text, sizeof(text), "%s %s[%d] %s: ", iso, log_name, (int)getpid(),
			 LEVEL_NAME[level]);
	}
	puts_out(o, text);
}

/* False: the log is stuck, the line is lost. A log that is only slow is waited for, once: while it
 * does not move, the service goes on without. */
static bool write_line(const char *p, size_t n)
{
	static atomic_bool stuck; /* threads log, too */
	struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
	ssize_t w = write(STDERR_FILENO, p, n);
	if (w < 0 && errno == EAGAIN && !stuck && poll(&room, 1, FULL_MS) > 0)
		w = write(STDERR_FILENO, p, n);
	stuck = w < 0 && errno == EAGAIN;
	return !stuck;
}

/* Says how many lines were lost as soon as there is room. */
static void write_counted(const struct out *o)
{
	static atomic_ulong lost;
	struct out note;
	char text[64];
	unsigned long n = atomic_exchange(&lost, 0);
	if (n) {
		begin(&note, LOG_LV_WARN);
		snprintf(text, sizeof(text), "log-lines-lost lines=%lu\n", n);
		puts_out(&note, text);
		if (!write_line(note.text, note.len))
			atomic_fetch_add(&lost, n);
	}
	if (!write_line(o->text, o->len))
		atomic_fetch_add(&lost, 1);
}

/* One write(2) a line, so that lines of several processes do not mix. */
static void end(struct out *o, enum log_level level)
{
	if (log_dest == LOG_TO_SYSLOG) {
		o->text[o->len] = 0;
		syslog(SYSLOG_LEVEL[level], "%s", o->text);
		return;
	}
	o->text[o->len++] = '\n';
	write_counted(o);
}

void log_emit(enum log_level level, const char *sid, const char *event, const struct log_kv *kv)
{
	if (level > log_max)
		return;
	struct out o;
	char number[24];
	begin(&o, level);
	puts_out(&o, event);
	if (sid && *sid) {
		puts_out(&o, " id=");
		put_value(&o, slice_of(sid));
	}
	for (; kv->key; kv++) {
		if (kv->type == LOG_KV_STR && !kv->v.s)
			continue;
		put(&o, " ", 1);
		puts_out(&o, kv->key);
		put(&o, "=", 1);
		switch (kv->type) {
		case LOG_KV_STR:
			put_value(&o, slice_of(kv->v.s));
			break;
		case LOG_KV_SLICE:
			put_value(&o, kv->v.sl);
			break;
		case LOG_KV_U64:
			snprintf(number, sizeof(number), "%llu", (unsigned long long)kv->v.u);
			puts_out(&o, number);
			break;
		case LOG_KV_I64:
			snprintf(number, sizeof(number), "%lld", (long long)kv->v.i);
			puts_out(&o, number);
			break;
		}
	}
	end(&o, level);
}

void log_text(enum log_level level, const char *fmt, ...)
{
	if (level > log_max)
		return;
	char text[2048];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	struct slice s = slice_of(text);
	for (size_t i = 0; i < s.len; i++)
		if (str_control_at(s, i))
			text[i] = ' ';
	struct out o;
	begin(&o, level);
	puts_out(&o, text);
	end(&o, level);
}
