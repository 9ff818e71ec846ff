/* Octets from anybody over a connection, in pieces: each query that is whole gets its response,
 * those that come at once in the order of the queries; what is no query ends the connection.
 *
 * The first octet says how the rest is cut into pieces. The fifth octet of a query says how it is
 * answered, the sixth how much of that there is. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <arpa/inet.h>
#include "dnsd/wire/later.h"
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/dns/wire.h"
#include "libcommon/net/loop.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { AT_ONCE, LONG, LATER, MANY, SILENT, KINDS };
enum { QUERIES = 6000, HEAD = 16, PIECE = 250, TURNS = 200000, KEPT = 64 };

static struct {
	uint8_t kind, size;
	unsigned responses; /* seen by the client */
} query[QUERIES];
static unsigned asked; /* of this connection */
static struct {
	struct later *later;
	unsigned number;
} kept[KEPT];
static unsigned n_kept;
struct stream_of {
	unsigned number, at, n;
};
static unsigned streams;

static void check(bool ok)
{
	if (!ok)
		abort();
}

static size_t response(uint8_t *out, unsigned number, unsigned at, size_t n)
{
	memset(out, 0xaa, n);
	memcpy(out, &number, sizeof(number));
	memcpy(out + sizeof(number), &at, sizeof(at));
	return n;
}

static size_t next(void *arg, uint8_t *out, size_t cap)
{
	struct stream_of *s = arg;
	check(cap == DNS_MSG_MAX && s->at <= s->n);
	return s->at == s->n ? 0 : response(out, s->number, s->at++, HEAD + PIECE);
}

static void end(void *arg)
{
	streams--;
	free(arg);
}

static size_t answer(const struct query_from *from, const uint8_t *pkt, size_t len, uint8_t *out,
		     size_t cap)
{
	check(from->by == BY_TCP && cap == DNS_MSG_MAX && len >= DNS_HEADER && asked < QUERIES);
	unsigned number = asked++;
	uint8_t kind = pkt[4] % KINDS;
	struct later *l = NULL;
	if (kind == MANY || (kind == LATER && n_kept < KEPT))
		l = later_keep(from);
	if (!l && kind != SILENT && kind != LONG)
		kind = AT_ONCE;
	query[number].kind = kind;
	query[number].size = pkt[5];
	query[number].responses = 0;
	if (kind == LATER) {
		kept[n_kept].later = l;
		kept[n_kept++].number = number;
	} else if (kind == MANY) {
		struct stream_of *s = malloc(sizeof(*s));
		check(s != NULL);
		*s = (struct stream_of){.number = number, .n = pkt[5] % 8};
		streams++;
		later_go_on(&l, next, end, s);
	}
	if (kind != AT_ONCE && kind != LONG)
		return 0;
	return response(out, number, 0, HEAD + (kind == LONG ? (size_t)pkt[5] * PIECE : 0));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	clock_init();
	log_init("fuzz", LOG_TO_STDERR, LOG_LV_ERROR);
	conf.tcp.connections = 1000;
	conf.tcp.idle_timeout = 600000;
	tcp_start(answer);
	return 0;
}

/* --- the client ------------------------------------------------------------------------------- */

static struct {
	uint8_t p[2 + DNS_MSG_MAX];
	size_t len;
	unsigned at_once; /* the next of these comes from this number on */
} client;

static void take(const uint8_t *p, size_t len)
{
	unsigned number, at;
	check(len >= HEAD);
	memcpy(&number, p, sizeof(number));
	memcpy(&at, p + sizeof(number), sizeof(at));
	check(number < asked && query[number].kind != SILENT);
	check(at == query[number].responses++);
	if (query[number].kind == AT_ONCE || query[number].kind == LONG) {
		check(number >= client.at_once);
		client.at_once = number + 1;
	}
	check(len == HEAD + (query[number].kind == LONG   ? (size_t)query[number].size * PIECE
			     : query[number].kind == MANY ? PIECE
							  : 0));
}

/* Reads what is there. False: the connection has ended. */
static bool receive(int fd)
{
	for (;;) {
		ssize_t n =
		    recv(fd, client.p + client.len, sizeof(client.p) - client.len, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (n <= 0)
			return false;
		client.len += (size_t)n;
		size_t at = 0;
		while (client.len - at >= 2 && client.len - at - 2 >= dns_u16(client.p + at)) {
			take(client.p + at + 2, dns_u16(client.p + at));
			at += 2u + dns_u16(client.p + at);
		}
		memmove(client.p, client.p + at, client.len - at);
		client.len -= at;
	}
}

/* One turn of the server; the oldest response that was to come later comes. */
static bool turn(int fd)
{
	uint8_t out[HEAD];
	uv_run(loop_get(), UV_RUN_NOWAIT);
	if (n_kept) {
		size_t n = response(out, kept[0].number, 0, sizeof(out));
		later_reply(&kept[0].later, out, n);
		memmove(kept, kept + 1, --n_kept * sizeof(kept[0]));
	}
	return receive(fd);
}

/* Sends it in pieces; false: the connection ended before that. */
static bool send_all(int fd, const uint8_t *p, size_t len, uint8_t how)
{
	size_t piece = how & 0x80 ? len : 1u + how;
	bool open = true;
	for (unsigned i = 0; open && len && i < TURNS; i++) {
		ssize_t n = send(fd, p, piece < len ? piece : len, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN)
			return false;
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
		open = turn(fd);
	}
	return open;
}

/* What the octets are, read here once more. good: there is nothing but whole queries in front of
 * the last one, which may be missing something. */
static unsigned expected(const uint8_t *p, size_t len, bool *good)
{
	unsigned n = 0;
	*good = true;
	while (*good && len >= 2) {
		size_t one = dns_u16(p);
		*good = one >= DNS_HEADER;
		if (!*good || len - 2 < one)
			break;
		*good = p[2 + 4] % KINDS != SILENT;
		n++;
		p += 2 + one;
		len -= 2 + one;
	}
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const struct listen_spec spec = {.name = "dns-tcp"};
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201)};
	int fds[2];
	bool good;
	if (len < 1 || len > 20000)
		return 0;
	unsigned queries = expected(data + 1, len - 1, &good);
	check(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	asked = 0;
	client.len = client.at_once = 0;
	tcp_listen_ops.on_accept(fds[1], (struct sockaddr *)&sa, (struct sockaddr *)&sa, &spec);
	bool open = send_all(fds[0], data + 1, len - 1, data[0]);
	shutdown(fds[0], SHUT_WR);
	for (unsigned i = 0; open && i < TURNS; i++)
		open = turn(fds[0]);
	check(!open);
	close(fds[0]);
	while (stats.connections || n_kept)
		turn(-1);
	check(asked == queries && streams == 0);
	for (unsigned i = 0; i < asked; i++) {
		unsigned want = query[i].kind == MANY     ? query[i].size % 8
				: query[i].kind == SILENT ? 0
							  : 1;
		/* The end that a bad query brings does not wait for what is to come later. */
		check(query[i].responses == want || (!good && query[i].kind >= LATER));
	}
	return 0;
}
