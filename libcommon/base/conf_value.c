/* One value of a directive: reading it with a precise error, writing it so that it reads back. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/un.h>
#include <unistd.h>
#include "libcommon/base/conf_tree.h"

static const char *const SWITCH[] = {"off", "on", "no", "yes", NULL};

/* Where word i of the directive stands. */
static const struct conf_where *at(const struct conf_node *n, size_t i, struct conf_where *w)
{
	*w = n->where;
	if (n->col && i < n->n)
		w->col = n->col[i];
	return w;
}

static int index_of(const char *const *names, const char *word)
{
	for (int i = 0; names[i]; i++)
		if (strcmp(names[i], word) == 0)
			return i;
	return -1;
}

static const char *size_text(char out[32], uint64_t v)
{
	static const char unit[] = " KMGT";
	unsigned u = 0;
	while (v && v % 1024 == 0 && u < 4) {
		v /= 1024;
		u++;
	}
	snprintf(out, 32, u ? "%llu%c" : "%llu", (unsigned long long)v, unit[u]);
	return out;
}

static const char *duration_text(char out[32], uint64_t ms)
{
	static const struct {
		uint64_t ms;
		const char *name;
	} unit[] = {{604800000, "w"}, {86400000, "d"}, {3600000, "h"},
		    {60000, "m"},     {1000, "s"},     {1, "ms"}};
	unsigned u = 0;
	if (ms == CONF_NEVER)
		return "never";
	while (ms % unit[u].ms)
		u++;
	snprintf(out, 32, ms ? "%llu%s" : "0", (unsigned long long)(ms / unit[u].ms), unit[u].name);
	return out;
}

static const char *number_text(char out[32], enum conf_type t, uint64_t v)
{
	if (t == CONF_SIZE)
		return size_text(out, v);
	if (t == CONF_DURATION)
		return duration_text(out, v);
	snprintf(out, 32, "%llu", (unsigned long long)v);
	return out;
}

static bool read_number(struct conf_errors *e, const struct conf_directive *d,
			const struct conf_node *n, uint64_t *out)
{
	struct conf_where w;
	struct slice s = slice_of(n->word[1]);
	char lo[32], hi[32];
	if (d->type == CONF_DURATION && (d->flags & CONF_OKNEVER) && slice_eqs(s, "never")) {
		*out = CONF_NEVER;
		return true;
	}
	bool ok = d->type == CONF_INT    ? str_u64(s, out)
		  : d->type == CONF_SIZE ? str_size(s, out)
					 : str_duration(s, out);
	if (!ok) {
		static const char *const what[] = {[CONF_INT] = "number (try 10)",
						   [CONF_SIZE] = "size (try 10M)",
						   [CONF_DURATION] = "duration (try 30s or 5m)"};
		conf_error(e, at(n, 1, &w), "%s: \"%s\" is not a %s", d->name, n->word[1],
			   what[d->type]);
	} else if (*out < d->min || (d->max && *out > d->max)) {
		if (d->max)
			conf_error(e, at(n, 1, &w), "%s: \"%s\" is not between %s and %s", d->name,
				   n->word[1], number_text(lo, d->type, d->min),
				   number_text(hi, d->type, d->max));
		else
			conf_error(e, at(n, 1, &w), "%s: \"%s\" is less than %s", d->name,
				   n->word[1], number_text(lo, d->type, d->min));
		ok = false;
	}
	return ok;
}

/* host:port, [v6]:port, *:port; unix:/path */
static bool addr_parse(const char *text, struct conf_addr *out)
{
	char host[64];
	uint32_t port;
	memset(&out->sa, 0, sizeof(out->sa));
	if (strncmp(text, "unix:", 5) == 0) {
		struct sockaddr_un *un = (struct sockaddr_un *)&out->sa;
		size_t len = strlen(text + 5);
		if (text[5] != '/' || len >= sizeof(un->sun_path))
			return false;
		un->sun_family = AF_UNIX;
		memcpy(un->sun_path, text + 5, len + 1);
		out->len = sizeof(*un);
		return true;
	}
	const char *colon = strrchr(text, ':');
	if (!colon || !str_u32(slice_of(colon + 1), &port) || port > 65535)
		return false;
	size_t len = (size_t)(colon - text);
	bool six = len > 2 && text[0] == '[' && text[len - 1] == ']';
	if (six) {
		text++;
		len -= 2;
	}
	if (len >= sizeof(host))
		return false;
	memcpy(host, text, len);
	host[len] = 0;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&out->sa;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->sa;
	if (six || strcmp(host, "*") == 0) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons((uint16_t)port);
		out->len = sizeof(*v6);
		return !six || inet_pton(AF_INET6, host, &v6->sin6_addr) == 1;
	}
	v4->sin_family = AF_INET;
	v4->sin_port = htons((uint16_t)port);
	out->len = sizeof(*v4);
	return inet_pton(AF_INET, host, &v4->sin_addr) == 1;
}

static unsigned char *net_bytes(const struct conf_net *n, unsigned *bits)
{
	if (n->sa.ss_family == AF_INET) {
		*bits = 32;
		return (unsigned char *)&((struct sockaddr_in *)&n->sa)->sin_addr;
	}
	*bits = 128;
	return (unsigned char *)&((struct sockaddr_in6 *)&n->sa)->sin6_addr;
}

static bool net_parse(const char *text, struct conf_net *out)
{
	char host[64];
	uint32_t bits = 0;
	const char *slash = strchr(text, '/');
	size_t len = slash ? (size_t)(slash - text) : strlen(text);
	memset(out, 0, sizeof(*out));
	if (len >= sizeof(host) || (slash && !str_u32(slice_of(slash + 1), &bits)))
		return false;
	memcpy(host, text, len);
	host[len] = 0;
	struct sockaddr_in *v4 = (struct sockaddr_in *)&out->sa;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->sa;
	if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		out->sa.ss_family = AF_INET;
	} else {
		memset(&out->sa, 0, sizeof(out->sa));
		if (inet_pton(AF_INET6, host, &v6->sin6_addr) != 1)
			return false;
		out->sa.ss_family = AF_INET6;
	}
	unsigned all;
	net_bytes(out, &all);
	out->bits = slash ? bits : all;
	return out->bits <= all;
}

bool conf_net_has(const struct conf_net *n, const struct sockaddr *sa)
{
	unsigned all;
	const unsigned char *want = net_bytes(n, &all), *have;
	if (sa->sa_family == AF_INET6) {
		const struct in6_addr *a =
		    &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
		have = a->s6_addr;
		if (all == 32 && !IN6_IS_ADDR_V4MAPPED(a))
			return false;
		if (all == 32)
			have += 12;
	} else if (sa->sa_family == AF_INET && all == 32) {
		have = (const unsigned char *)&((const struct sockaddr_in *)(const void *)sa)
			   ->sin_addr;
	} else {
		return false;
	}
	unsigned whole = n->bits / 8, rest = n->bits % 8;
	if (memcmp(want, have, whole) != 0)
		return false;
	return rest == 0 || ((want[whole] ^ have[whole]) >> (8 - rest)) == 0;
}

const char *conf_path(struct pool *pool, const struct conf_where *where, const char *path)
{
	const char *slash = where->file ? strrchr(where->file, '/') : NULL;
	if (path[0] == '/' || !slash)
		return path;
	return pool_printf(pool, "%.*s/%s", (int)(slash - where->file), where->file, path);
}

static bool read_path(struct pool *pool, struct conf_errors *e, const struct conf_directive *d,
		      const struct conf_node *n, const char **out)
{
	struct conf_where w;
	*out = conf_path(pool, &n->where, n->word[1]);
	if ((d->flags & CONF_EXISTS) && access(*out, R_OK) != 0) {
		conf_error(e, at(n, 1, &w), "%s: %s: cannot be read", d->name, *out);
		return false;
	}
	return true;
}

bool conf_value_read(struct pool *pool, struct conf_errors *e, const struct conf_directive *d,
		     const struct conf_node *n, void *field)
{
	struct conf_where w;
	int i;
	if (n->n < 2 || (n->n > 2 && d->type != CONF_WORDS)) {
		conf_error(e, at(n, n->n < 2 ? 0 : 2, &w), "%s: takes %s", d->name,
			   d->type == CONF_WORDS ? "one word or more" : "one word");
		return false;
	}
	switch (d->type) {
	case CONF_BOOL:
		i = index_of(SWITCH, n->word[1]);
		if (i < 0)
			conf_error(e, at(n, 1, &w), "%s: \"%s\" is neither on nor off", d->name,
				   n->word[1]);
		*(bool *)field = i == 1 || i == 3;
		return i >= 0;
	case CONF_INT:
	case CONF_SIZE:
	case CONF_DURATION:
		return read_number(e, d, n, field);
	case CONF_STRING:
		*(const char **)field = n->word[1];
		return true;
	case CONF_ENUM:
		i = index_of(d->names, n->word[1]);
		if (i < 0) {
			const char *all = d->names[0];
			for (int k = 1; d->names[k]; k++)
				all = pool_printf(pool, "%s | %s", all, d->names[k]);
			conf_error(e, at(n, 1, &w), "%s: \"%s\" is not one of %s", d->name,
				   n->word[1], all);
		}
		*(int *)field = i;
		return i >= 0;
	case CONF_WORDS:
		((struct conf_words *)field)->n = n->n - 1;
		((struct conf_words *)field)->where = *at(n, 1, &w);
		((struct conf_words *)field)->w = pool_alloc(pool, n->n * sizeof(char *));
		memcpy(((struct conf_words *)field)->w, n->word + 1, (n->n - 1) * sizeof(char *));
		return true;
	case CONF_ADDR:
		((struct conf_addr *)field)->text = n->word[1];
		if (addr_parse(n->word[1], field))
			return true;
		conf_error(e, at(n, 1, &w),
			   "%s: \"%s\" is not an address (try 127.0.0.1:2525 or [::1]:2525)",
			   d->name, n->word[1]);
		return false;
	case CONF_NET:
		if (net_parse(n->word[1], field))
			return true;
		conf_error(e, at(n, 1, &w), "%s: \"%s\" is not a network (try 192.0.2.0/24)",
			   d->name, n->word[1]);
		return false;
	case CONF_PATH:
		return read_path(pool, e, d, n, field);
	case CONF_BLOCK:
		break;
	}
	return false;
}

void conf_word_write(FILE *f, const char *word)
{
	bool quote = !*word || strpbrk(word, " \t\r\n{}\"#\\");
	if (!quote) {
		fputs(word, f);
		return;
	}
	fputc('"', f);
	for (; *word; word++) {
		if (*word == '"' || *word == '\\')
			fputc('\\', f);
		fputc(*word, f);
	}
	fputc('"', f);
}

void conf_value_write(FILE *f, const struct conf_directive *d, const void *field)
{
	char text[INET6_ADDRSTRLEN + 8];
	const struct conf_words *words = field;
	const struct conf_net *net = field;
	unsigned all;
	switch (d->type) {
	case CONF_BOOL:
		fputs(SWITCH[*(const bool *)field], f);
		break;
	case CONF_INT:
	case CONF_SIZE:
	case CONF_DURATION:
		fputs(number_text(text, d->type, *(const uint64_t *)field), f);
		break;
	case CONF_STRING:
	case CONF_PATH:
		conf_word_write(f, *(const char *const *)field);
		break;
	case CONF_ENUM:
		fputs(d->names[*(const int *)field], f);
		break;
	case CONF_WORDS:
		for (size_t i = 0; i < words->n; i++) {
			if (i)
				fputc(' ', f);
			conf_word_write(f, words->w[i]);
		}
		break;
	case CONF_ADDR:
		conf_word_write(f, ((const struct conf_addr *)field)->text);
		break;
	case CONF_NET:
		inet_ntop(net->sa.ss_family, net_bytes(net, &all), text, sizeof(text));
		fprintf(f, "%s/%u", text, net->bits);
		break;
	case CONF_BLOCK:
		break;
	}
}

size_t conf_value_size(enum conf_type t)
{
	static const size_t size[] = {[CONF_BOOL] = sizeof(bool),
				      [CONF_INT] = sizeof(uint64_t),
				      [CONF_SIZE] = sizeof(uint64_t),
				      [CONF_DURATION] = sizeof(uint64_t),
				      [CONF_STRING] = sizeof(char *),
				      [CONF_ENUM] = sizeof(int),
				      [CONF_WORDS] = sizeof(struct conf_words),
				      [CONF_ADDR] = sizeof(struct conf_addr),
				      [CONF_NET] = sizeof(struct conf_net),
				      [CONF_PATH] = sizeof(char *),
				      [CONF_BLOCK] = 0};
	return size[t];
}
