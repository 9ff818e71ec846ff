/* The secret of DNS cookies. All processes have the same: a client's next query may come to another
 * one, or to this one's successor. It is a file of the state folder: the present secret, then the
 * one before, which is good for cookies that were made with it; or a file of the administrator. */
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "dnsd/dnsd.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/id.h"
#include "libcommon/base/log.h"
#include "libcommon/net/loop.h"

enum { LOOK_MS = 60000, LIFE_S = 86400 };
#define FILE_NAME "cookie.secret"
#define NEW_NAME  "cookie.secret.new"
#define LOCK_NAME "cookie.lock"

static struct {
	uint8_t secret[2][16];
	int dir;
	struct timer timer;
	bool shared; /* of a file that only the administrator changes */
} self;

/* Reads the secret. False: there is none, or it is to be replaced. */
static bool look(void)
{
	uint8_t got[sizeof(self.secret)];
	struct stat st;
	int fd = openat(self.dir, FILE_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool ok =
	    fd >= 0 && fstat(fd, &st) == 0 && read(fd, got, sizeof(got)) == (ssize_t)sizeof(got);
	if (fd >= 0)
		close(fd);
	if (!ok)
		return false;
	memcpy(self.secret, got, sizeof(got));
	return clock_sec() < (uint64_t)st.st_mtim.tv_sec + LIFE_S;
}

static bool write_new(void)
{
	int fd =
	    openat(self.dir, NEW_NAME, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	bool ok = fd >= 0 &&
		  write(fd, self.secret, sizeof(self.secret)) == (ssize_t)sizeof(self.secret) &&
		  fsync(fd) == 0;
	if (fd >= 0)
		close(fd);
	return ok && renameat(self.dir, NEW_NAME, self.dir, FILE_NAME) == 0;
}

/* One process replaces it, the others read what it wrote. */
static void replace(void)
{
	int lock = openat(self.dir, LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0 || flock(lock, LOCK_EX) != 0 || !look()) {
		memcpy(self.secret[1], self.secret[0], sizeof(self.secret[0]));
		id_random(self.secret[0], sizeof(self.secret[0]));
		if (!write_new())
			log_event(LOG_LV_WARN, NULL, "cookie-secret-not-kept",
				  LS("reason", strerror(errno)));
	}
	if (lock >= 0)
		close(lock);
}

static void on_timer(struct timer *t)
{
	if (!look())
		replace();
	timer_set(t, LOOK_MS, on_timer);
}

const uint8_t (*cookie_start(int dir))[16]
{
	if (self.shared)
		return (const uint8_t(*)[16])self.secret;
	self.dir = dir;
	id_random(self.secret, sizeof(self.secret));
	on_timer(&self.timer);
	return (const uint8_t(*)[16])self.secret;
}

static int digit(char c)
{
	c = str_lower(c);
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_secret(struct slice line, uint8_t out[16])
{
	if (line.len != 32)
		return false;
	for (int i = 0; i < 16; i++) {
		int high = digit(line.p[2 * i]), low = digit(line.p[2 * i + 1]);
		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

const char *cookie_shared(const char *path)
{
	char text[256];
	struct slice rest;
	const char *why = conf_secret(path, text, sizeof(text), &rest);
	if (!why && !read_secret(conf_secret_line(&rest), self.secret[0]))
		why = "its first line is not 32 hexadecimal digits";
	struct slice second = conf_secret_line(&rest);
	if (!why && !second.len)
		memcpy(self.secret[1], self.secret[0], sizeof(self.secret[1]));
	else if (!why && !read_secret(second, self.secret[1]))
		why = "its second line is not 32 hexadecimal digits";
	self.shared = !why;
	explicit_bzero(text, sizeof(text));
	return why;
}
