/* Whether a host that takes mail is this one: by the names that it goes by, and by the addresses on
 * which it listens for mail from other servers. */
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>
#include "smtpd/smtpd.h"

enum { PORT_SMTP = 25 };

static const struct sockaddr_in *v4(const struct sockaddr_storage *a)
{
	return (const struct sockaddr_in *)a;
}

static const struct sockaddr_in6 *v6(const struct sockaddr_storage *a)
{
	return (const struct sockaddr_in6 *)a;
}

static uint16_t port_of(const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_INET)
		return ntohs(v4(a)->sin_port);
	return a->ss_family == AF_INET6 ? ntohs(v6(a)->sin6_port) : 0;
}

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b)
{
	if (a->ss_family != b->ss_family)
		return false;
	if (a->ss_family == AF_INET)
		return v4(a)->sin_addr.s_addr == v4(b)->sin_addr.s_addr;
	return IN6_ARE_ADDR_EQUAL(&v6(a)->sin6_addr, &v6(b)->sin6_addr);
}

/* An address of this machine: only to those can a socket be bound. That is true at any time, while
 * a list of the interfaces' addresses grows old, and cannot be read in the sandbox. */
static bool is_local(const struct sockaddr_storage *addr)
{
	struct sockaddr_storage a = *addr;
	socklen_t len =
	    a.ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	int fd = socket(a.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	((struct sockaddr_in *)&a)->sin_port = 0; /* in the same place in both families */
	bool local = bind(fd, (struct sockaddr *)&a, len) == 0;
	close(fd);
	return local;
}

/* A listener on all addresses of a family; [::] takes both. */
static bool is_any(const struct sockaddr_storage *l, int family)
{
	if (l->ss_family == AF_INET)
		return family == AF_INET && v4(l)->sin_addr.s_addr == htonl(INADDR_ANY);
	return l->ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&v6(l)->sin6_addr);
}

static bool our_name(const char *name)
{
	return (conf.hostname && slice_ieqs(slice_of(conf.hostname), name)) ||
	       (relay_conf.helo && slice_ieqs(slice_of(relay_conf.helo), name));
}

bool self_is(const char *name, uint16_t port, const struct sockaddr_storage *addr, size_t n)
{
	bool listens = port == PORT_SMTP;
	for (size_t i = 0; i < conf.smtp.n; i++) {
		const struct sockaddr_storage *l =
		    &((const struct conf_addr *)conf.smtp.item[i])->sa;
		if (port_of(l) != port)
			continue;
		listens = true;
		for (size_t k = 0; k < n; k++)
			if (same_address(l, &addr[k]) ||
			    (is_any(l, addr[k].ss_family) && is_local(&addr[k])))
				return true;
	}
	return listens && our_name(name);
}
