/* Keys of TSIG, and their text. */
#include <gnutls/crypto.h>
#include "libcommon/base/id.h"
#include "libcommon/dns/tsig_int.h"

enum { MAC_MIN = 10 /* octets, RFC 8945 5.2.2.1 */ };

const struct tsig_hash tsig_hash[TSIG_ALGORITHMS] = {
    [TSIG_SHA1] = {GNUTLS_MAC_SHA1, 20, 11, "\011hmac-sha1"},
    [TSIG_SHA224] = {GNUTLS_MAC_SHA224, 28, 13, "\013hmac-sha224"},
    [TSIG_SHA256] = {GNUTLS_MAC_SHA256, 32, 13, "\013hmac-sha256"},
    [TSIG_SHA384] = {GNUTLS_MAC_SHA384, 48, 13, "\013hmac-sha384"},
    [TSIG_SHA512] = {GNUTLS_MAC_SHA512, 64, 13, "\013hmac-sha512"},
};

unsigned tsig_mac_min(enum tsig_algorithm a)
{
	unsigned half = tsig_hash[a].size / 2;
	return half > MAC_MIN ? half : MAC_MIN;
}

bool tsig_algorithm(struct slice text, enum tsig_algorithm *out, unsigned *mac_len)
{
	if (text.len > 1 && text.p[text.len - 1] == '.')
		text.len--;
	for (int i = 0; i < TSIG_ALGORITHMS; i++) {
		const char *name = tsig_hash[i].name + 1;
		uint32_t bits = 8 * tsig_hash[i].size;
		if (!slice_istarts(text, name))
			continue;
		struct slice rest = {text.p + strlen(name), text.len - strlen(name)};
		if (rest.len && (!slice_starts(rest, "-") ||
				 !str_u32((struct slice){rest.p + 1, rest.len - 1}, &bits)))
			continue;
		if (bits % 8 || bits > 8 * tsig_hash[i].size ||
		    bits < 8 * tsig_mac_min((enum tsig_algorithm)i))
			return false;
		*out = (enum tsig_algorithm)i;
		*mac_len = bits / 8;
		return true;
	}
	return false;
}

void tsig_algorithm_text(char out[32], const struct tsig_key *key)
{
	const struct tsig_hash *h = &tsig_hash[key->algorithm];
	if (key->mac_len < h->size)
		str_fmt(out, 32, "%s-%u", h->name + 1, 8 * key->mac_len);
	else
		str_fmt(out, 32, "%s", h->name + 1);
}

const char *tsig_key_name(struct tsig_key *key, struct slice name)
{
	uint8_t wire[DNS_NAME_MAX];
	size_t len = dns_name_from_text(name, wire);
	if (!len || wire[0] == 0)
		return "is not a name";
	if (len > TSIG_NAME_MAX)
		return "has a name of more than 62 characters";
	dns_name_lower(wire);
	if (key->name_len && !dns_name_eq(key->name, wire))
		return "has another name in its file";
	memcpy(key->name, wire, len);
	key->name_len = len;
	return NULL;
}

static const char *read_algorithm(struct tsig_key *key, struct slice text)
{
	enum tsig_algorithm a;
	unsigned mac_len;
	if (!tsig_algorithm(text, &a, &mac_len))
		return "has an unknown algorithm: hmac-sha256 is one";
	if (key->mac_len && (key->algorithm != a || key->mac_len != mac_len))
		return "has another algorithm in its file";
	key->algorithm = a;
	key->mac_len = mac_len;
	return NULL;
}

static const char *read_secret(struct tsig_key *key, struct slice text)
{
	uint8_t raw[TSIG_SECRET_MAX + 3];
	const char *why = NULL;
	long n = text.len / 4 * 3 <= sizeof(raw) ? str_base64_decode(raw, text) : -1;
	if (n < 0)
		why = "has a secret that is not base64, or too long";
	else if (n < TSIG_SECRET_MIN || n > TSIG_SECRET_MAX)
		why = "has a secret that is not of 8 to 256 octets";
	if (!why) {
		memcpy(key->secret, raw, (size_t)n);
		key->secret_len = (size_t)n;
	}
	explicit_bzero(raw, sizeof(raw));
	return why;
}

const char *tsig_key_read(struct tsig_key *key, struct slice text)
{
	struct slice head = {text.p, 0};
	const char *why = NULL;
	for (size_t i = 0; i < text.len; i++)
		if (text.p[i] == ':')
			head.len = i + 1;
	text.p += head.len;
	text.len -= head.len;
	if (head.len) {
		head.len--;
		struct slice algorithm = slice_cut(&head, ':');
		if (!head.p || !head.len)
			head = algorithm;
		else
			why = read_algorithm(key, algorithm);
		if (!why)
			why = tsig_key_name(key, head);
	}
	if (!why && !key->mac_len)
		why = read_algorithm(key, slice_of("hmac-sha256"));
	return why ? why : read_secret(key, text);
}

void tsig_key_make(struct tsig_key *key)
{
	key->secret_len = tsig_hash[key->algorithm].size;
	gnutls_rnd(GNUTLS_RND_KEY, key->secret, key->secret_len);
}

size_t tsig_key_text(char out[TSIG_TEXT], const struct tsig_key *key)
{
	char algorithm[32], name[DNS_NAME_TEXT];
	tsig_algorithm_text(algorithm, key);
	dns_name_text(name, key->name);
	str_fmt(out, TSIG_TEXT, "%s:%s:", algorithm, name);
	size_t len = strlen(out);
	return len + str_base64(out + len, key->secret, key->secret_len);
}

void tsig_key_wipe(struct tsig_key *key)
{
	explicit_bzero(key, sizeof(*key));
}
