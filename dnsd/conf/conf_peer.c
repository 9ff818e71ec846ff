/* The words behind the address of another server. */
#include "dnsd/conf/conf_peer.h"
#include <string.h>
#include "dnsd/dnsd.h"
#include "dnsd/wire/serve.h"

static bool set_port(struct peer_words *out, const char *value)
{
	return conf_port(value, &out->port);
}

static bool set_key(struct peer_words *out, const char *value)
{
	out->key = conf_key(value);
	return out->key;
}

static bool set_tls(struct peer_words *out, const char *value)
{
	out->tls = value;
	return true;
}

static bool set_catalog(struct peer_words *out, const char *value)
{
	out->catalog = value;
	return true;
}

static const struct word {
	const char *word, *value; /* NULL: it has none */
	enum peer_may may;
	bool (*set)(struct peer_words *out, const char *value);
	const char *wrong; /* what is to be said of a value */
} word[] = {
    {"port", "N", PEER_PORT, set_port, "is not a port"},
    {"key", "NAME", PEER_KEY, set_key, "is no key that is given here"},
    {"tls", NULL, PEER_TLS, set_tls, NULL},
    {"tls", "NAME", PEER_TLS_NAME, set_tls, NULL},
    {"catalog", "NAME", PEER_CATALOG, set_catalog, NULL},
};
enum { WORDS = sizeof(word) / sizeof(word[0]) };

static const struct word *find(const char *text, unsigned may)
{
	for (size_t i = 0; i < WORDS; i++)
		if (word[i].may & may && strcmp(word[i].word, text) == 0)
			return &word[i];
	return NULL;
}

static void tell_known(struct conf_errors *e, const struct conf_where *where, const char *what,
		       const char *text, unsigned may)
{
	char known[100] = "";
	size_t n = 0;
	for (size_t i = 0; i < WORDS; i++)
		if (word[i].may & may &&
		    str_fmt(known + n, sizeof(known) - n, "[%s%s%s] ", word[i].word,
			    word[i].value ? " " : "", word[i].value ? word[i].value : ""))
			n += strlen(known + n);
	conf_error(e, where, "%s: \"%s\": %smay follow here", what, text, known);
}

bool conf_peer_words(struct conf_errors *e, const struct conf_where *where,
		     const struct conf_words *w, size_t at, const char *what, unsigned may,
		     struct peer_words *out)
{
	*out = (struct peer_words){0};
	while (at < w->n) {
		const struct word *is = find(w->w[at], may);
		if (!is || (is->value && at + 1 == w->n)) {
			tell_known(e, where, what, w->w[at], may);
			return false;
		}
		const char *value = is->value ? w->w[at + 1] : "";
		if (!is->set(out, value)) {
			conf_error(e, where, "%s: %s \"%s\" %s", what, is->word, value, is->wrong);
			return false;
		}
		at += is->value ? 2 : 1;
	}
	return true;
}
