#include <sys/resource.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/net/daemon_int.h"

static const struct daemon *program;
static uint64_t started; /* seconds since 1970 */

static void common_stats(struct buf *out)
{
	struct rusage u;
	getrusage(RUSAGE_SELF, &u);
	buf_printf(out, "start_time_seconds %llu\n", (unsigned long long)started);
	buf_printf(out, "cpu_seconds_total %.3f\n",
		   (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
		       (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
	buf_printf(out, "resident_memory_peak_bytes %llu\n", (unsigned long long)u.ru_maxrss << 10);
	buf_printf(out, "draining %d\n", daemon_draining());
}

static const char *set_level(struct conf_words w)
{
	static const char *const NAMES[] = {"error", "warning", "info", "debug"};
	for (int i = 0; w.n == 2 && i <= LOG_LV_DEBUG; i++) {
		if (strcmp(w.w[1], NAMES[i]) == 0) {
			log_set_level((enum log_level)i);
			return NULL;
		}
	}
	return "usage: loglevel error|warning|info|debug";
}

static void on_call(struct control_call *call)
{
	const char *word = call->words.w[0], *why = NULL;
	if (program->command && program->command(call))
		return;
	if (strcmp(word, "ping") == 0) {
		buf_adds(&call->out, "pong\n");
	} else if (strcmp(word, "stats") == 0) {
		common_stats(&call->out);
		if (program->stats)
			program->stats(&call->out);
	} else if (strcmp(word, "loglevel") == 0) {
		why = set_level(call->words);
	} else if (!program->control || !program->control(call->words, &call->out)) {
		why = "unknown command";
	}
	control_done(call, why);
}

void daemon_control_start(int fd, const struct daemon *d)
{
	program = d;
	started = clock_sec();
	if (fd >= 0)
		control_serve(fd, on_call, NULL);
}
