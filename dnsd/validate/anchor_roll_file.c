/* What was learned of trust anchors, as text, so that it outlives the process:
 *
 *	zone NAME seen SECONDS next SECONDS
 *	STATE SECONDS NAME DNSKEY FLAGS PROTOCOL ALGORITHM BASE64 */
#include "dnsd/validate/anchor_roll_int.h"
#include "libcommon/base/clock.h"
#include "libcommon/dns/zonetext.h"

static const char *const STATE[] = {[ANCHOR_PENDING] = "pending",
				    [ANCHOR_VALID] = "valid",
				    [ANCHOR_MISSING] = "missing",
				    [ANCHOR_REVOKED] = "revoked",
				    [ANCHOR_REMOVED] = "removed"};
enum { STATES = sizeof(STATE) / sizeof(*STATE) };

void anchor_roll_save(const struct anchor_roll *r, struct buf *out)
{
	char name[DNS_NAME_TEXT];
	buf_adds(out, "# Keys of trust anchors (RFC 5011), written by dnsd; times in seconds since "
		      "1970.\n");
	for (unsigned i = 0; i < r->n; i++) {
		const struct roll_zone *z = r->zone[i];
		dns_name_text(name, z->name);
		buf_printf(out, "zone %s%s seen %llu next %llu\n", name, *z->name ? "." : "",
			   (unsigned long long)z->seen, (unsigned long long)z->next);
		for (unsigned k = 0; k < z->n; k++) {
			const struct roll_anchor *a = &z->key[k];
			struct zone_rr rr = {.owner = z->name,
					     .type = DNS_DNSKEY,
					     .rdata = octets_of(a->dnskey),
					     .rdlen = a->dnskey.len};
			buf_printf(out, "%s %llu ", STATE[a->state], (unsigned long long)a->since);
			zonetext_write(out, &rr);
		}
	}
}

void anchor_roll_tell(const struct anchor_roll *r, struct buf *out)
{
	char name[DNS_NAME_TEXT], since[32];
	for (unsigned i = 0; i < r->n; i++) {
		const struct roll_zone *z = r->zone[i];
		dns_name_text(name, z->name);
		for (unsigned k = 0; k < z->n; k++) {
			clock_iso(since, sizeof(since), z->key[k].since * 1000);
			buf_printf(out, "%s key %u %s since %s\n", name,
				   validate_key_tag(z->key[k].dnskey), STATE[z->key[k].state],
				   z->key[k].since ? since : "it was configured");
		}
		struct slice data = buf_slice(&z->ds), ds;
		while (rrset_next(&data, &ds))
			buf_printf(out, "%s key %u configured, not seen\n", name,
				   dns_u16(octets_of(ds)));
	}
}

/* --- reading ---------------------------------------------------------------------------------- */

struct reading {
	struct anchor_roll *r;
	enum roll_anchor_state state;
	uint64_t since;
	bool ok;
};

static bool on_key(void *arg, const struct zone_rr *rr)
{
	struct reading *in = arg;
	struct roll_zone *z = roll_zone_of(in->r, rr->owner);
	struct slice rdata = {(const char *)rr->rdata, rr->rdlen};
	struct key key;
	in->ok = rr->type == DNS_DNSKEY && key_read(rdata, &key) && !(key.flags & KEY_REVOKED) &&
		 key.flags & KEY_ZONE;
	if (!in->ok || !z)
		return false;
	bool configured = roll_anchor_of(z, rdata) != NULL;
	configured |= roll_take_ds(z, rdata);
	struct roll_anchor *k = roll_anchor_add(z, rdata, in->state, in->since);
	/* One that is configured need not wait; but one that was revoked stays that. */
	if (k && !(configured && in->state == ANCHOR_PENDING)) {
		k->state = in->state;
		k->since = in->since;
	} else if (k) {
		k->state = ANCHOR_VALID;
	}
	return false;
}

static void on_error(void *arg, const char *line)
{
	struct reading *in = arg;
	(void)line;
	in->ok = false;
}

static bool read_key(struct anchor_roll *r, struct slice state, struct slice rest)
{
	static const uint8_t root[] = {0};
	struct reading in = {.r = r};
	struct zonetext z = {.origin = root,
			     .ttl = 1,
			     .no_include = true,
			     .on_rr = on_key,
			     .on_error = on_error,
			     .arg = &in};
	unsigned s = 0;
	while (s < STATES && !slice_eqs(state, STATE[s]))
		s++;
	if (s == STATES || !str_u64(slice_word(&rest), &in.since) || in.since > INT64_MAX / 1000)
		return false;
	in.state = (enum roll_anchor_state)s;
	zonetext_memory(&z, "state", slice_trim(rest));
	return in.ok;
}

static bool read_zone(struct anchor_roll *r, struct slice rest)
{
	uint8_t name[DNS_NAME_MAX];
	uint64_t seen, next;
	if (!dns_name_from_text(slice_word(&rest), name) || !slice_eqs(slice_word(&rest), "seen") ||
	    !str_u64(slice_word(&rest), &seen) || !slice_eqs(slice_word(&rest), "next") ||
	    !str_u64(slice_word(&rest), &next))
		return false;
	struct roll_zone *z = roll_zone_of(r, name);
	if (z) {
		z->seen = seen;
		z->next = next;
	}
	return true;
}

bool anchor_roll_load(struct anchor_roll *r, struct slice text, const char **why)
{
	bool ok = text.len <= ANCHOR_ROLL_TEXT;
	*why = "the state of trust anchors is too long";
	while (ok && text.len) {
		struct slice line = slice_trim(slice_cut(&text, '\n'));
		if (!line.len || *line.p == '#')
			continue;
		struct slice word = slice_word(&line);
		ok = slice_eqs(word, "zone") ? read_zone(r, line) : read_key(r, word, line);
		*why = "a line of the state of trust anchors cannot be read";
	}
	for (unsigned i = 0; i < r->n; i++)
		roll_publish(r, r->zone[i]);
	return ok;
}
