/* What people are told of a zone's keys. */
#include "dnsd/sign/rollover.h"
#include "libcommon/base/clock.h"

const char *rollover_state_text(enum roll_state s)
{
	static const char *const text[ROLL_STATES] = {
	    [ROLL_FRESH] = "made",    [ROLL_NEW] = "new",       [ROLL_PARENT] = "parent",
	    [ROLL_CACHES] = "caches", [ROLL_ACTIVE] = "active", [ROLL_LEAVING] = "leaving",
	    [ROLL_LEFT] = "left",
	};
	return s < ROLL_STATES ? text[s] : "unknown";
}

static void say_time(struct buf *out, uint64_t ms)
{
	char iso[32];
	clock_iso(iso, sizeof(iso), ms);
	buf_printf(out, "%.10s %.5s UTC", iso, iso + 11);
}

static void say_ds(struct buf *out, const uint8_t *zone, const struct roll_key *k)
{
	char name[DNS_NAME_TEXT];
	uint8_t ds[SIGN_DS];
	dns_name_text(name, zone);
	sign_ds(zone, k->dnskey, ds);
	buf_printf(out, "  %s%s DS ", name, strcmp(name, ".") ? "." : "");
	dns_rdata_text(DNS_DS, ds, SIGN_DS, out);
	buf_addc(out, '\n');
}

static void say_seen(struct buf *out, const uint8_t *zone)
{
	char name[DNS_NAME_TEXT];
	dns_name_text(name, zone);
	buf_printf(out,
		   "dnsd asks for it and goes on by itself; where it cannot ask, tell it:\n"
		   "  hamletctl zone dnssec %s --ds-seen\n",
		   name);
}

static void say_parent(struct buf *out, const struct roll *r, const uint8_t *zone, unsigned i)
{
	if (i == 0)
		buf_adds(out, "The zone is signed. Hand this DS record to the parent zone "
			      "(the registrar):\n");
	else
		buf_adds(out, "Both keys sign. Have the parent zone (the registrar) replace its DS "
			      "record by:\n");
	say_ds(out, zone, &r->key[i]);
	buf_adds(out, "A parent that reads CDS records does it without being asked.\n");
	say_seen(out, zone);
}

static void say_key(struct buf *out, const struct roll *r, const uint8_t *zone, unsigned i)
{
	const struct roll_key *k = &r->key[i];
	switch (k->state) {
	case ROLL_FRESH:
		buf_adds(out, "A key was made; the zone is about to be signed by it.\n");
		break;
	case ROLL_NEW:
		buf_adds(out, i ? "A new key signs along. Until "
				: "The zone is signed, but caches may know it as it was. Until ");
		say_time(out, k->until);
		buf_adds(out, i ? " the parent's DS record must stay as it is. Nothing is to be "
				  "done.\n"
				: " the parent must have no DS record. Nothing is to be done.\n");
		break;
	case ROLL_PARENT:
		say_parent(out, r, zone, i);
		break;
	case ROLL_CACHES:
		buf_adds(out, "The parent has the new DS record. The old key signs on until ");
		say_time(out, k->until);
		buf_adds(out, ", when no cache has its DS any more. Nothing is to be done.\n");
		break;
	case ROLL_ACTIVE:
		if (r->keys == 1)
			buf_adds(out, "The zone is signed and its parent vouches for it. Nothing "
				      "is to be done.\n");
		if (r->keys == 1 && r->interval) {
			buf_adds(out, "The key is replaced on ");
			say_time(out, k->since + r->interval);
			buf_adds(out, ".\n");
		}
		break;
	case ROLL_LEAVING:
		buf_adds(out, "Signing is turned off, but the zone must stay signed as long as its "
			      "parent has a DS record. Have the parent zone (the registrar) remove "
			      "it.\n");
		say_seen(out, zone);
		break;
	case ROLL_LEFT:
		buf_adds(out, "The parent has no DS record any more. The zone stays signed until ");
		say_time(out, k->until);
		buf_adds(out, ", when no cache has one. Nothing is to be done.\n");
		break;
	default:
		break;
	}
}

void rollover_text(const struct roll *r, const uint8_t *zone, struct buf *out)
{
	if (!r->keys)
		buf_adds(out, r->wanted ? "The zone is about to be signed.\n"
					: "The zone is not signed.\n");
	/* Of two keys that leave one says it all. */
	for (unsigned i = 0; i < r->keys; i++)
		if (i == 0 || r->key[i].state != r->key[0].state)
			say_key(out, r, zone, i);
}
