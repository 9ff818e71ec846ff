#include "libcommon/net/proxyproto.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>

static const char SIGNATURE[12] = {13, 10, 13, 10, 0, 13, 10, 'Q', 'U', 'I', 'T', 10};
enum { V2_HEADER = 16, V1_MAX = 107, TLV_ALPN = 1, TLV_AUTHORITY = 2, TLV_SSL = 0x20 };

static void make_addr(struct sockaddr_storage *out, bool six, const void *addr, uint16_t port_net)
{
	memset(out, 0, sizeof(*out));
	if (six) {
		struct sockaddr_in6 *a = (struct sockaddr_in6 *)out;
		a->sin6_family = AF_INET6;
		a->sin6_port = port_net;
		memcpy(&a->sin6_addr, addr, 16);
	} else {
		struct sockaddr_in *a = (struct sockaddr_in *)out;
		a->sin_family = AF_INET;
		a->sin_port = port_net;
		memcpy(&a->sin_addr, addr, 4);
	}
}

static bool text_addr(struct sockaddr_storage *out, bool six, struct slice host, struct slice port)
{
	char text[64];
	unsigned char addr[16];
	uint32_t p;
	if (host.len >= sizeof(text) || !str_u32(port, &p) || p > 65535 ||
	    (port.len > 1 && port.p[0] == '0'))
		return false;
	memcpy(text, host.p, host.len);
	text[host.len] = 0;
	if (strlen(text) != host.len || inet_pton(six ? AF_INET6 : AF_INET, text, addr) != 1)
		return false;
	make_addr(out, six, addr, htons((uint16_t)p));
	return true;
}

static long parse_v1(struct slice in, struct proxyproto *out)
{
	size_t n = in.len < V1_MAX ? in.len : V1_MAX;
	const char *lf = memchr(in.p, '\n', n);
	if (!lf)
		return n == V1_MAX ? -1 : 0;
	struct slice line = {in.p, (size_t)(lf - in.p)};
	long used = (long)line.len + 1;
	if (line.len == 0 || line.p[line.len - 1] != '\r')
		return -1;
	line.len--;
	slice_cut(&line, ' '); /* PROXY */
	struct slice family = slice_cut(&line, ' ');
	if (slice_eqs(family, "UNKNOWN")) {
		out->local = true;
		return used;
	}
	bool six = slice_eqs(family, "TCP6");
	if (!six && !slice_eqs(family, "TCP4"))
		return -1;
	struct slice peer = slice_cut(&line, ' '), self = slice_cut(&line, ' ');
	struct slice peer_port = slice_cut(&line, ' '), self_port = line;
	if (!text_addr(&out->peer, six, peer, peer_port) ||
	    !text_addr(&out->self, six, self, self_port))
		return -1;
	return used;
}

static void copy_text(char *out, size_t cap, const unsigned char *p, size_t n)
{
	if (n < cap && !memchr(p, 0, n) && str_print((struct slice){(const char *)p, n})) {
		memcpy(out, p, n);
		out[n] = 0;
	}
}

static bool parse_tlvs(const unsigned char *p, size_t n, struct proxyproto *out)
{
	while (n) {
		size_t len = n >= 3 ? (size_t)p[1] << 8 | p[2] : 0;
		if (n < 3 || n - 3 < len)
			return false;
		if (p[0] == TLV_ALPN)
			copy_text(out->alpn, sizeof(out->alpn), p + 3, len);
		else if (p[0] == TLV_AUTHORITY)
			copy_text(out->sni, sizeof(out->sni), p + 3, len);
		else if (p[0] == TLV_SSL && len >= 1)
			out->tls = p[3] & 1;
		p += 3 + len;
		n -= 3 + len;
	}
	return true;
}

static long parse_v2(struct slice in, struct proxyproto *out)
{
	const unsigned char *p = (const unsigned char *)in.p;
	if (in.len < V2_HEADER)
		return 0;
	size_t len = (size_t)p[14] << 8 | p[15];
	if (p[12] >> 4 != 2 || (p[12] & 15) > 1 || len > PROXYPROTO_MAX - V2_HEADER)
		return -1;
	if (in.len < V2_HEADER + len)
		return 0;
	const unsigned char *a = p + V2_HEADER;
	bool six = p[13] == 0x21, four = p[13] == 0x11;
	if ((p[12] & 15) == 0 || (!six && !four)) {
		out->local = true; /* LOCAL, or a family that has no internet address */
		return (long)(V2_HEADER + len);
	}
	size_t one = six ? 16 : 4, all = 2 * one + 4;
	if (len < all)
		return -1;
	uint16_t ports[2];
	memcpy(ports, a + 2 * one, sizeof(ports));
	make_addr(&out->peer, six, a, ports[0]);
	make_addr(&out->self, six, a + one, ports[1]);
	return parse_tlvs(a + all, len - all, out) ? (long)(V2_HEADER + len) : -1;
}

long proxyproto_parse(struct slice in, struct proxyproto *out)
{
	memset(out, 0, sizeof(*out));
	size_t n = in.len < sizeof(SIGNATURE) ? in.len : sizeof(SIGNATURE);
	if (n == 0)
		return 0;
	if (memcmp(in.p, SIGNATURE, n) == 0)
		return n < sizeof(SIGNATURE) ? 0 : parse_v2(in, out);
	n = in.len < 6 ? in.len : 6;
	if (memcmp(in.p, "PROXY ", n) == 0)
		return n < 6 ? 0 : parse_v1(in, out);
	return -1;
}

/* Address bytes and port of an internet address; 0 for other families. */
static size_t split(const struct sockaddr *sa, const void **addr, uint16_t *port_net)
{
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *a = (const struct sockaddr_in *)(const void *)sa;
		*addr = &a->sin_addr;
		*port_net = a->sin_port;
		return 4;
	}
	if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)(const void *)sa;
		*addr = &a->sin6_addr;
		*port_net = a->sin6_port;
		return 16;
	}
	return 0;
}

bool proxyproto_write_v2(struct buf *out, const struct sockaddr *peer, const struct sockaddr *self)
{
	const void *pa = NULL, *sa = NULL;
	uint16_t pp = 0, sp = 0;
	size_t one = split(peer, &pa, &pp);
	bool known = one && split(self, &sa, &sp) == one;
	char head[4] = {0x20, 0, 0, 0}; /* LOCAL */
	buf_add(out, SIGNATURE, sizeof(SIGNATURE));
	if (!known)
		return buf_add(out, head, sizeof(head));
	head[0] = 0x21;
	head[1] = one == 16 ? 0x21 : 0x11;
	head[3] = (char)(2 * one + 4);
	buf_add(out, head, sizeof(head));
	buf_add(out, pa, one);
	buf_add(out, sa, one);
	buf_add(out, &pp, 2);
	return buf_add(out, &sp, 2);
}

bool proxyproto_write_v1(struct buf *out, const struct sockaddr *peer, const struct sockaddr *self)
{
	const void *pa = NULL, *sa = NULL;
	uint16_t pp = 0, sp = 0;
	char peer_text[INET6_ADDRSTRLEN], self_text[INET6_ADDRSTRLEN];
	size_t one = split(peer, &pa, &pp);
	if (!one || split(self, &sa, &sp) != one)
		return buf_adds(out, "PROXY UNKNOWN\r\n");
	int family = one == 16 ? AF_INET6 : AF_INET;
	inet_ntop(family, pa, peer_text, sizeof(peer_text));
	inet_ntop(family, sa, self_text, sizeof(self_text));
	return buf_printf(out, "PROXY TCP%c %s %s %u %u\r\n", one == 16 ? '6' : '4', peer_text,
			  self_text, ntohs(pp), ntohs(sp));
}
