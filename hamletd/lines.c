/* Parsers of what other processes say: the list of `PROGRAM -L`, datagrams to NOTIFY_SOCKET,
 * lines of a child's log. They read bytes of processes that have
 * fewer rights than hamletd; nothing here does anything but read. */
#include "hamletd/hamletd.h"
#include <stdlib.h>
#include <sys/un.h>

static bool address_parse(struct pool *pool, const char *text, struct conf_addr *out)
{
	static const struct conf_directive table[] = {{.name = "a", .type = CONF_ADDR}, {0}};
	if (strpbrk(text, "\"\\")) /* all others are themselves between quotes */
		return false;
	const char *conf = pool_printf(pool, "version 1\na \"%s\"\n", text);
	char *said = NULL;
	size_t n;
	FILE *f = open_memstream(&said, &n);
	if (!f)
		return false;
	int mistakes = conf_parse(pool, "address", conf, strlen(conf), table, out, NULL, f);
	fclose(f);
	free(said);
	return mistakes == 0;
}

/* An absolute path without "." and ".." parts: it is made inside a jail by root. */
static bool path_ok(const char *p)
{
	if (p[0] != '/' || !p[1] || strlen(p) > 1000)
		return false;
	for (const char *s = p; s; s = strchr(s + 1, '/')) {
		if (strncmp(s, "/./", 3) == 0 || strncmp(s, "/../", 4) == 0 ||
		    strcmp(s, "/.") == 0 || strcmp(s, "/..") == 0 || strncmp(s, "//", 2) == 0)
			return false;
	}
	return true;
}

/* For LISTEN_FDNAMES (no ':') and for roles. */
static bool name_ok(const char *s)
{
	if (!*s || strlen(s) > 200)
		return false;
	for (; *s; s++)
		if ((unsigned char)*s <= ' ' || (unsigned char)*s >= 127 || *s == ':')
			return false;
	return true;
}

static const char *listen_line(struct pool *pool, const char *const f[5], struct list_line *l)
{
	static const char *const proto[] = {"tcp", "udp", "unix", NULL};
	int i = 0;
	while (proto[i] && strcmp(f[2], proto[i]) != 0)
		i++;
	if (!proto[i])
		return "the protocol is not tcp, udp or unix";
	l->kind = LINE_LISTEN;
	l->proto = (enum line_proto)i;
	if (!name_ok(f[1]) || !name_ok(f[4]))
		return "the name is malformed";
	l->name = f[1];
	l->owner = strcmp(f[4], "-") == 0 ? NULL : f[4];
	l->address = f[3];
	/* A Unix socket may be a bare path. */
	const char *address = f[3][0] == '/' ? pool_printf(pool, "unix:%s", f[3]) : f[3];
	if (!address_parse(pool, address, &l->addr))
		return "the address is malformed";
	if ((l->addr.sa.ss_family == AF_UNIX) != (l->proto == PROTO_UNIX))
		return "the address does not fit the protocol";
	if (l->proto == PROTO_UNIX && !path_ok(strchr(address, '/')))
		return "the path is malformed";
	return NULL;
}

static const char *one_line(struct pool *pool, struct slice line, struct list_line *l)
{
	const char *f[5];
	for (int i = 0; i < 5; i++) {
		if (i == 4 ? memchr(line.p, '\t', line.len) != NULL
			   : memchr(line.p, '\t', line.len) == NULL)
			return "it has not five fields";
		struct slice s = slice_cut(&line, '\t');
		if (!str_print(s) || s.len == 0)
			return "a field is empty or not printable";
		f[i] = pool_strndup(pool, s.p, s.len);
	}
	if (strcmp(f[0], "listen") == 0)
		return listen_line(pool, f, l);
	if (strcmp(f[0], "path") == 0) {
		l->kind = LINE_PATH;
		l->write = strcmp(f[1], "rw") == 0;
		if (!l->write && strcmp(f[1], "ro") != 0)
			return "it is neither ro nor rw";
	} else if (strcmp(f[0], "socket") == 0) {
		l->kind = LINE_SOCKET;
	} else {
		return "it starts with no known word";
	}
	l->address = f[2];
	return path_ok(f[2]) ? NULL : "the path is malformed";
}

bool lines_list(struct pool *pool, struct slice text, struct list_lines *out, const char **why)
{
	unsigned number = 0;
	out->n = 0;
	while (text.len) {
		struct slice line = slice_cut(&text, '\n');
		const char *bad = NULL;
		number++;
		if (out->n == LINES_MAX) {
			bad = "there are too many lines";
		} else {
			memset(&out->line[out->n], 0, sizeof(out->line[0]));
			bad = one_line(pool, line, &out->line[out->n++]);
		}
		if (bad) {
			*why = pool_printf(pool, "line %u of -L: %s", number, bad);
			return false;
		}
	}
	return true;
}

struct notify_msg lines_notify(struct slice text)
{
	struct notify_msg m = {0};
	if (text.len > LINE_BYTES)
		text.len = LINE_BYTES;
	while (text.len) {
		struct slice value = slice_cut(&text, '\n');
		struct slice key = slice_cut(&value, '=');
		if (slice_eqs(key, "READY"))
			m.ready = m.ready || slice_eqs(value, "1");
		else if (slice_eqs(key, "STOPPING"))
			m.stopping = m.stopping || slice_eqs(value, "1");
		else if (slice_eqs(key, "WATCHDOG"))
			m.watchdog = m.watchdog || slice_eqs(value, "1");
		else if (slice_eqs(key, "STATUS") && value.len <= 200 && str_print(value))
			m.status = value;
	}
	return m;
}

static bool name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '.';
}

int lines_log(struct slice line, struct slice *text)
{
	int priority = 4;
	size_t i = 0, name;
	*text = line;
	if (line.len < 3 || line.p[0] != '<' || line.p[1] < '0' || line.p[1] > '7' ||
	    line.p[2] != '>')
		return priority;
	priority = line.p[1] - '0';
	*text = line = (struct slice){line.p + 3, line.len - 3};
	while (i < line.len && name_char(line.p[i]))
		i++;
	name = i;
	if (name == 0 || i >= line.len || line.p[i++] != '[')
		return priority;
	while (i < line.len && line.p[i] >= '0' && line.p[i] <= '9')
		i++;
	if (i == name + 1 || line.len - i < 3 || memcmp(line.p + i, "]: ", 3) != 0)
		return priority;
	*text = (struct slice){line.p + i + 3, line.len - i - 3};
	return priority;
}

void lines_put(struct buf *out, const char *key, const char *value)
{
	bool quote = strpbrk(value, " \"\\#{}") || !str_print(slice_of(value));
	if (out->len && out->p[out->len - 1] != '\n')
		buf_addc(out, ' ');
	buf_printf(out, quote ? "\"%s=" : "%s=", key);
	for (; *value; value++) {
		if (*value == '"' || *value == '\\')
			buf_addc(out, '\\');
		/* A control byte could end the line, or the word. */
		buf_addc(out, (unsigned char)*value < 32 || *value == 127 ? '?' : *value);
	}
	if (quote)
		buf_addc(out, '"');
}

void lines_put_u64(struct buf *out, const char *key, uint64_t value)
{
	char text[24];
	str_fmt(text, sizeof(text), "%llu", (unsigned long long)value);
	lines_put(out, key, text);
}
