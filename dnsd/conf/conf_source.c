/* The address that we ask other servers from. */
#include <sys/socket.h>
#include "dnsd/dnsd.h"

static struct source {
	struct sockaddr_storage sa;
	socklen_t len; /* 0: the kernel chooses */
} v4, v6;

static struct source *of(int family)
{
	return family == AF_INET ? &v4 : &v6;
}

void conf_source_verify(struct conf_errors *e)
{
	v4 = v6 = (struct source){0};
	for (size_t i = 0; i < conf.sources.n; i++) {
		const struct conf_words *w = conf.sources.item[i];
		struct source s;
		if (w->n != 1 || !conf_ip(w->w[0], &s.sa, &s.len))
			conf_error(e, &w->where, "source: give one address (192.0.2.1)");
		else if (of(s.sa.ss_family)->len)
			conf_error(e, &w->where, "source: %s: there is one of its kind already",
				   w->w[0]);
		else
			*of(s.sa.ss_family) = s;
	}
}

const struct sockaddr *conf_source(int family, socklen_t *len)
{
	const struct source *s = of(family);
	*len = s->len;
	return s->len ? (const struct sockaddr *)&s->sa : NULL;
}

bool conf_source_bind(int fd, int family)
{
	socklen_t len;
	const struct sockaddr *sa = conf_source(family, &len);
	return !sa || bind(fd, sa, len) == 0;
}
