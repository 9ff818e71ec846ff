/* Users of this machine at a local socket. The kernel tells their number; local-users tells the
 * name, which with local-domain is their own address. In the jail the file is the one that was
 * there when smtpd started: a user who was added since (the file was replaced, not written to) is
 * uid-N until smtpd is. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "libcommon/base/log.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "libcommon/net/daemon.h"
#include "smtpd/smtpd.h"

enum { USERS_MAX = 1000000, LINE_MAX_OCTETS = 4096, MINUTE_MS = 60000 };

static struct map *names; /* uid -> name */
static struct stat seen;  /* the file that they are from */

static bool changed(const struct stat *now)
{
	return now->st_ino != seen.st_ino || now->st_dev != seen.st_dev ||
	       now->st_size != seen.st_size || now->st_mtim.tv_sec != seen.st_mtim.tv_sec ||
	       now->st_mtim.tv_nsec != seen.st_mtim.tv_nsec;
}

static int name_free(const void *key, size_t len, void *value, void *arg)
{
	(void)key;
	(void)len;
	(void)arg;
	free(value);
	return 0;
}

static void users_forget(void)
{
	if (names)
		map_each(names, name_free, NULL);
	map_free(&names);
}

/* Reads the file when it is another one than last time. What cannot be read now stays known. */
static void users_read(void)
{
	struct stat now;
	struct passwd pw, *got;
	char line[LINE_MAX_OCTETS];
	FILE *f = fopen(conf.local_users, "re");
	if (!f || fstat(fileno(f), &now) != 0) {
		log_event(LOG_LV_WARN, NULL, "users-unknown", LS("file", conf.local_users),
			  LS("reason", strerror(errno)));
		if (f)
			fclose(f);
		return;
	}
	if (!names || changed(&now)) {
		users_forget();
		names = map_new();
		seen = now;
		/* The first name of a uid counts, as it does for getpwuid(3). */
		while (map_count(names) < USERS_MAX &&
		       fgetpwent_r(f, &pw, line, sizeof(line), &got) == 0)
			if (!map_get(names, &pw.pw_uid, sizeof(pw.pw_uid)))
				map_set(names, &pw.pw_uid, sizeof(pw.pw_uid),
					mem_strdup(pw.pw_name));
	}
	fclose(f);
}

void local_start(void)
{
	if (conf.local.n)
		users_read();
}

static const char *find(uid_t uid)
{
	return names ? map_get(names, &uid, sizeof(uid)) : NULL;
}

/* name@local-domain; false when the name cannot stand in an address. */
static bool address_of(const char *name, struct addr *out)
{
	char text[ADDR_MAX + 1];
	return str_fmt(text, sizeof(text), "%s@%s", name, conf.local_domain) &&
	       addr_mailbox(slice_of(text), 0, out) == ADDR_OK;
}

static bool is_trusted(uid_t uid, const char *name)
{
	uint32_t number;
	for (size_t i = 0; i < conf.local_trusted.n; i++) {
		const char *word = conf.local_trusted.w[i];
		if (str_u32(slice_of(word), &number) ? number == uid : strcmp(word, name) == 0)
			return true;
	}
	return false;
}

struct local_user *local_user_new(uid_t uid)
{
	struct local_user *u = mem_alloc(sizeof(*u));
	struct addr a;
	char number[32];
	if (!find(uid))
		users_read();
	const char *name = find(uid);
	str_fmt(number, sizeof(number), "uid-%lu", (unsigned long)uid);
	if (!name || !address_of(name, &a)) {
		name = number;
		if (!address_of(name, &a)) /* local-domain is too long for any address */
			a = (struct addr){0};
	}
	*u = (struct local_user){.uid = uid,
				 .name = mem_strdup(name),
				 .address = mem_strdup(a.text),
				 .trusted = is_trusted(uid, name)};
	return u;
}

void local_user_free(struct local_user **pu)
{
	struct local_user *u = *pu;
	*pu = NULL;
	if (!u)
		return;
	free(u->name);
	free(u->address);
	free(u);
}

bool local_complete(struct addr *a)
{
	size_t n = strlen(conf.local_domain);
	if (!a->len || a->local_len < a->len)
		return true;
	if (a->len + 1 + n > ADDR_MAX)
		return false;
	a->text[a->len++] = '@';
	memcpy(a->text + a->len, conf.local_domain, n + 1);
	str_lowern(a->text + a->len, n);
	a->len += n;
	return true;
}

bool local_own(const struct local_user *u, struct slice addr)
{
	return slice_ieqs(addr, u->address);
}

const struct reply *local_sender(struct session *s, const struct addr *a)
{
	static const struct reply NOT_YOURS = {
	    550, "5.7.1", "the sender is not your own address, and you are not in local-trusted"};
	/* The null sender belongs to everybody. */
	if (s->local->trusted || !a->len || local_own(s->local, addr_text(a)))
		return NULL;
	return &NOT_YOURS;
}

const struct reply *local_rate(const struct session *s)
{
	static const struct reply SLOW = {451, "4.7.1", "too many messages in a minute"};
	if (s->local->trusted || !conf.local_rate || !s->stream)
		return NULL;
	return limits_rate(daemon_limits(), stream_peer(s->stream), (uint32_t)conf.local_rate,
			   MINUTE_MS)
		   ? NULL
		   : &SLOW;
}
