/* A connection to one of a host's addresses (RFC 8305): families in turn, IPv6 first, the next
 * address after 250 ms or as soon as one fails, and the first that connects wins. Each attempt
 * has a libuv handle, so that everything ends in close callbacks: the winner's hands the fd over,
 * the last one frees the dial. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "libcommon/base/mem.h"
#include "libcommon/net/loop.h"
#include "smtpd/relay.h"

enum {
	NEXT_MS = 250,  /* RFC 8305 5: Connection Attempt Delay */
	ADDRS_MAX = 16, /* of one host; more are not worth the time */
	WHY_MAX = 1024,
};

struct attempt {
	uv_poll_t poll;
	struct dial *d;
	struct timer timer;
	const struct sockaddr_storage *to;
	int fd;
	bool open; /* its handle is not being closed */
};

struct dial {
	dial_fn *fn; /* NULL: it has been called, or nobody wants to know */
	void *arg;
	const struct route *route;
	unsigned refs; /* attempts whose handle lives, a deferred call, and one until it is over */
	struct timer timer;
	struct buf why;
	struct attempt attempt[ADDRS_MAX]; /* in the order of trying */
	struct attempt *winner;
	size_t n, next, open;
};

static void drop(struct dial *d, unsigned refs)
{
	d->refs -= refs;
	if (d->refs)
		return;
	buf_free(&d->why);
	free(d);
}

static void on_closed(uv_handle_t *h)
{
	struct attempt *a = h->data;
	struct dial *d = a->d;
	dial_fn *fn = d->fn;
	bool won = d->winner == a && fn;
	if (won) {
		d->fn = NULL;
		fn(a->fd, (const struct sockaddr *)a->to, "", d->arg);
	} else {
		close(a->fd);
	}
	drop(d, won ? 2 : 1);
}

static void attempt_end(struct attempt *a)
{
	if (!a->open)
		return;
	a->open = false;
	a->d->open--;
	timer_clear(&a->timer);
	uv_close((uv_handle_t *)&a->poll, on_closed);
}

static void end_all(struct dial *d)
{
	timer_clear(&d->timer);
	for (size_t i = 0; i < d->n; i++)
		attempt_end(&d->attempt[i]);
}

static void note(struct dial *d, const struct attempt *a, const char *what, int err)
{
	char ip[INET6_ADDRSTRLEN] = "?";
	bool six = a->to->ss_family == AF_INET6;
	if (six)
		inet_ntop(AF_INET6, &((const struct sockaddr_in6 *)(const void *)a->to)->sin6_addr,
			  ip, sizeof(ip));
	else
		inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)a->to)->sin_addr, ip,
			  sizeof(ip));
	buf_printf(&d->why, "%s%s%s%s: %s%s", d->why.len ? "; " : "", six ? "[" : "", ip,
		   six ? "]" : "", what, strerror(err));
}

static void go_on(struct dial *d);

static void attempt_failed(struct attempt *a, const char *what, int err)
{
	note(a->d, a, what, err);
	attempt_end(a);
	go_on(a->d);
}

static void on_late(struct timer *t)
{
	attempt_failed(list_entry(t, struct attempt, timer), "", ETIMEDOUT);
}

static void on_event(uv_poll_t *h, int status, int events)
{
	struct attempt *a = h->data;
	int err = 0;
	socklen_t len = sizeof(err);
	(void)events;
	if (getsockopt(a->fd, SOL_SOCKET, SO_ERROR, &err, &len) != 0)
		err = errno;
	if (!err && status < 0)
		err = -status;
	if (err) {
		attempt_failed(a, "", err);
		return;
	}
	a->d->winner = a;
	end_all(a->d);
}

static bool bind_source(int fd, const struct route *r, int family)
{
	union {
		struct sockaddr sa;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} from = {.sa.sa_family = (sa_family_t)family};
	int on = 1;
	if (family == AF_INET ? r->source4.s_addr == 0 : IN6_IS_ADDR_UNSPECIFIED(&r->source6))
		return true;
	if (family == AF_INET)
		from.v4.sin_addr = r->source4;
	else
		from.v6.sin6_addr = r->source6;
	/* The port is chosen by connect(), so that one port can serve many destinations. */
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
	return bind(fd, &from.sa, family == AF_INET ? sizeof(from.v4) : sizeof(from.v6)) == 0;
}

/* False: it failed, and is noted. */
static bool attempt_begin(struct attempt *a)
{
	struct dial *d = a->d;
	int family = a->to->ss_family;
	const char *what = "";
	socklen_t len =
	    family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	a->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (a->fd < 0) {
		note(d, a, "", errno);
		return false;
	}
	if (!bind_source(a->fd, d->route, family)) {
		what = "source address: ";
	} else if (connect(a->fd, (const struct sockaddr *)a->to, len) == 0 ||
		   errno == EINPROGRESS) {
		int rc = uv_poll_init(loop_get(), &a->poll, a->fd);
		if (rc == 0) {
			a->poll.data = a;
			a->open = true;
			d->open++;
			d->refs++;
			uv_poll_start(&a->poll, UV_WRITABLE, on_event);
			timer_set(&a->timer, d->route->connect_timeout, on_late);
			return true;
		}
		errno = -rc;
	}
	note(d, a, what, errno);
	close(a->fd);
	return false;
}

static void on_next(struct timer *t)
{
	go_on(list_entry(t, struct dial, timer));
}

static void give_up(void *arg)
{
	struct dial *d = arg;
	dial_fn *fn = d->fn;
	if (fn) {
		d->fn = NULL;
		fn(-1, NULL, d->why.len ? buf_cstr(&d->why) : "no address is known", d->arg);
	}
	drop(d, fn ? 2 : 1);
}

/* Begins with the next address; when none is left and nothing is under way, it has failed. */
static void go_on(struct dial *d)
{
	timer_clear(&d->timer);
	if (!d->fn || d->winner)
		return;
	while (d->next < d->n)
		if (attempt_begin(&d->attempt[d->next++])) {
			if (d->next < d->n)
				timer_set(&d->timer, NEXT_MS, on_next);
			return;
		}
	if (d->open == 0) {
		d->refs++;
		loop_defer(give_up, d);
	}
}

/* Addresses with the families in turn, IPv6 first (RFC 8305 4). */
static void order(struct dial *d, const struct host *h)
{
	size_t at[2] = {0, 0}; /* the next address of IPv6, IPv4 */
	for (unsigned turn = 0; d->n < ADDRS_MAX && (at[0] < h->addrs || at[1] < h->addrs);
	     turn ^= 1) {
		int family = turn ? AF_INET : AF_INET6;
		while (at[turn] < h->addrs && h->addr[at[turn]].ss_family != family)
			at[turn]++;
		if (at[turn] < h->addrs) {
			d->attempt[d->n].d = d;
			d->attempt[d->n++].to = &h->addr[at[turn]++];
		}
	}
}

struct dial *dial_open(const struct host *h, const struct route *r, dial_fn *fn, void *arg)
{
	struct dial *d = mem_alloc(sizeof(*d));
	d->fn = fn;
	d->arg = arg;
	d->route = r;
	d->refs = 1;
	buf_init(&d->why, WHY_MAX);
	order(d, h);
	go_on(d);
	return d;
}

void dial_cancel(struct dial **dp)
{
	struct dial *d = *dp;
	*dp = NULL;
	if (!d || !d->fn)
		return;
	d->fn = NULL;
	end_all(d);
	drop(d, 1);
}
