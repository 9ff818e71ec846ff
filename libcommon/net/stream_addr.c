/* Who is at the two ends of a stream. */
#include <arpa/inet.h>
#include "libcommon/net/stream_int.h"

static void keep_addr(union address *to, const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET)
		memcpy(to, sa, sizeof(to->v4));
	else if (sa->sa_family == AF_INET6)
		memcpy(to, sa, sizeof(to->v6));
	else if (sa->sa_family == AF_UNIX)
		memcpy(to, sa, sizeof(to->un));
	else
		to->sa.sa_family = sa->sa_family;
}

void stream_set_addrs(struct stream *s, const struct sockaddr *peer, const struct sockaddr *local)
{
	if (peer)
		keep_addr(&s->peer, peer);
	if (local)
		keep_addr(&s->local, local);
	s->ip_text[0] = 0;
}

const struct sockaddr *stream_peer(const struct stream *s)
{
	return &s->peer.sa;
}

bool stream_loopback(const struct stream *s)
{
	const struct in6_addr *six = &s->peer.v6.sin6_addr;
	if (s->peer.sa.sa_family == AF_INET)
		return ntohl(s->peer.v4.sin_addr.s_addr) >> 24 == 127;
	if (s->peer.sa.sa_family == AF_INET6)
		return IN6_IS_ADDR_LOOPBACK(six) ||
		       (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127);
	return s->peer.sa.sa_family == AF_UNIX;
}

void stream_ip_text(const struct sockaddr *sa, char out[INET6_ADDRSTRLEN])
{
	const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
	if (sa->sa_family == AF_INET)
		inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, out,
			  INET6_ADDRSTRLEN);
	else if (sa->sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(six))
		inet_ntop(AF_INET, six->s6_addr + 12, out, INET6_ADDRSTRLEN);
	else if (sa->sa_family == AF_INET6)
		inet_ntop(AF_INET6, six, out, INET6_ADDRSTRLEN);
	else
		memcpy(out, "local", sizeof("local"));
}

const char *stream_peer_ip(const struct stream *cs)
{
	struct stream *s = (struct stream *)(uintptr_t)cs; /* made at the first question */
	if (!s->ip_text[0])
		stream_ip_text(&s->peer.sa, s->ip_text);
	return s->ip_text;
}
