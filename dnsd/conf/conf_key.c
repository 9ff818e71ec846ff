/* The keys of TSIG. Their secrets stand in files of their own, which are read before the sandbox
 * closes. */
#include "dnsd/wire/serve.h"

#define F(field) offsetof(struct key_conf, field)

const struct conf_directive conf_key_table[] = {
    {.name = "algorithm",
     .type = CONF_STRING,
     .offset = F(algorithm),
     .help = "hmac-sha224, hmac-sha256, hmac-sha384, hmac-sha512, or, where the other side knows "
	     "nothing better, hmac-sha1; -128 behind it (for one) takes and makes signatures that "
	     "are cut to so many bits.\nUnless it is given here or in the file: hmac-sha256."},
    {.name = "secret-file",
     .type = CONF_PATH,
     .offset = F(file),
     .help = "Its first line is the secret in base64, or all of it as `hamletctl zone key` prints "
	     "it, [algorithm:]name:secret.\nOnly its owner and group may have rights to it."},
    {0}};

/* Reads the first line of the file into the key; NULL, or what is wrong. */
static const char *read_line(const char *path, struct tsig_key *key)
{
	char text[TSIG_TEXT];
	struct slice all;
	const char *why = conf_secret(path, text, sizeof(text), &all);
	if (!why)
		why = tsig_key_read(key, conf_secret_line(&all));
	explicit_bzero(text, sizeof(text));
	return why;
}

/* key NAME [file PATH] */
static const char *read_key(struct pool *pool, struct key_conf *k)
{
	const struct conf_words *w = &k->block.args;
	k->path = k->file;
	bool in_line = w->n == 3 && strcmp(w->w[1], "file") == 0 && !k->file;
	if (in_line)
		k->path = conf_path(pool, &k->block.where, w->w[2]);
	else if (w->n != 1)
		return "only `file PATH` may follow the name, once";
	if (!k->path)
		return "where is its secret? Give secret-file";
	if (k->algorithm &&
	    !tsig_algorithm(slice_of(k->algorithm), &k->key.algorithm, &k->key.mac_len))
		return "has an unknown algorithm: hmac-sha256 is one";
	const char *why = tsig_key_name(&k->key, slice_of(w->w[0]));
	return why ? why : read_line(k->path, &k->key);
}

void conf_keys_verify(struct conf_errors *e, struct pool *pool)
{
	for (size_t i = 0; i < conf.keys.n; i++) {
		struct key_conf *k = conf.keys.item[i];
		const char *name = k->block.args.n ? k->block.args.w[0] : "";
		const char *why = read_key(pool, k);
		for (size_t n = 0; !why && n < i; n++) {
			const struct key_conf *o = conf.keys.item[n];
			if (o->key.name_len && dns_name_eq(o->key.name, k->key.name))
				why = "is there twice";
		}
		if (!why)
			continue;
		tsig_key_wipe(&k->key);
		conf_error(e, &k->block.where, "key %s: %s%s%s", name, k->path ? k->path : "",
			   k->path ? ": " : "", why);
	}
}

const struct tsig_key *conf_key_find(const uint8_t *name)
{
	for (size_t i = 0; i < conf.keys.n; i++) {
		const struct key_conf *k = conf.keys.item[i];
		if (k->key.name_len && dns_name_eq(k->key.name, name))
			return &k->key;
	}
	return NULL;
}

const struct tsig_key *conf_key(const char *name)
{
	uint8_t wire[DNS_NAME_MAX];
	if (!dns_name_from_text(slice_of(name), wire))
		return NULL;
	dns_name_lower(wire);
	return conf_key_find(wire);
}

void conf_keys_wipe(void)
{
	for (size_t i = 0; i < conf.keys.n; i++)
		tsig_key_wipe(&((struct key_conf *)conf.keys.item[i])->key);
}
