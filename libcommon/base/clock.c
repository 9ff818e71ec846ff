#include "libcommon/base/clock.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *offset; /* mapped from HAMLET_CLOCK; NULL: none */

void clock_init(void)
{
	tzset(); /* reads /etc/localtime while it can still be seen */
	const char *file = getenv("HAMLET_CLOCK");
	if (!file || offset)
		return;
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	void *p = mmap(NULL, sizeof(*offset), PROT_READ, MAP_SHARED, fd, 0);
	/* A file shorter than the number would fault at the first look. */
	if (p != MAP_FAILED && lseek(fd, 0, SEEK_END) >= (off_t)sizeof(*offset))
		offset = p;
	close(fd);
}

static uint64_t now(clockid_t id, uint64_t per_sec)
{
	struct timespec t;
	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * per_sec + (uint64_t)t.tv_nsec / (1000000000u / per_sec);
}

uint64_t clock_ms(void)
{
	return now(CLOCK_REALTIME, 1000) + (uint64_t)(offset ? *offset : 0);
}

uint64_t clock_sec(void)
{
	return clock_ms() / 1000;
}

uint64_t clock_mono(void)
{
	return now(CLOCK_MONOTONIC, 1000);
}

uint64_t clock_ns(void)
{
	return now(CLOCK_MONOTONIC, 1000000000u);
}

void clock_rfc5322(char *out, size_t cap, uint64_t ms)
{
	static const char day[] = "SunMonTueWedThuFriSat";
	static const char month[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	time_t t = (time_t)(ms / 1000);
	struct tm tm;
	localtime_r(&t, &tm);
	long off = tm.tm_gmtoff / 60;
	char sign = off < 0 ? '-' : '+';
	if (off < 0)
		off = -off;
	snprintf(out, cap, "%.3s, %d %.3s %d %02d:%02d:%02d %c%02ld%02ld", day + 3 * tm.tm_wday,
		 tm.tm_mday, month + 3 * tm.tm_mon, tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
		 tm.tm_sec, sign, off / 60, off % 60);
}

void clock_iso(char *out, size_t cap, uint64_t ms)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;
	gmtime_r(&t, &tm);
	snprintf(out, cap, "%04d-%02d-%02dT%02d:%02d:%02d.%03uZ", tm.tm_year + 1900, tm.tm_mon + 1,
		 tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned)(ms % 1000));
}
