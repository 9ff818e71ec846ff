#include "dnsd/primary/xfr_tell.h"
#include <netinet/in.h>
#include <string.h>
#include "libcommon/base/log.h"
#include "libcommon/base/str.h"
#include "libcommon/net/loop.h"

struct told {
	char peer[INET6_ADDRSTRLEN];
	const char *kind;
	uint64_t lines, untold;
};
static struct {
	struct timer over;
	bool began;
	struct told peer[XFR_TELL_PEERS];
	size_t peers;
	struct told others; /* those that are not told apart */
	uint64_t lines;     /* of all */
} self;

static void on_over(struct timer *t)
{
	(void)t;
	xfr_tell_over();
}

static struct told *find(const char *peer, const char *kind)
{
	for (size_t i = 0; i < self.peers; i++)
		if (self.peer[i].kind == kind && strcmp(self.peer[i].peer, peer) == 0)
			return &self.peer[i];
	if (self.peers == XFR_TELL_PEERS)
		return &self.others;
	struct told *t = &self.peer[self.peers++];
	*t = (struct told){.kind = kind};
	str_fmt(t->peer, sizeof(t->peer), "%s", peer);
	return t;
}

bool xfr_tell(const char *peer, const char *kind)
{
	struct told *t = find(peer, kind);
	if (!self.began)
		timer_set(&self.over, XFR_TELL_MS, on_over);
	self.began = true;
	if (t->lines >= XFR_TELL_LINES || self.lines >= XFR_TELL_ALL) {
		t->untold++;
		return false;
	}
	t->lines++;
	self.lines++;
	return true;
}

static uint64_t over(struct told *t)
{
	uint64_t n = t->untold;
	if (n)
		log_event(LOG_LV_INFO, NULL, "transfers-untold",
			  LS("to", t->kind ? t->peer : "others"), LS("kind", t->kind),
			  LU("times", n));
	*t = (struct told){.lines = 0};
	return n;
}

uint64_t xfr_tell_over(void)
{
	uint64_t n = over(&self.others);
	for (size_t i = 0; i < self.peers; i++)
		n += over(&self.peer[i]);
	timer_clear(&self.over);
	self.began = false;
	self.peers = 0;
	self.lines = 0;
	return n;
}
