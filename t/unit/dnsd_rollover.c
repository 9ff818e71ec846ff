/* The life of a zone's keys: every wait, in both directions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "dnsd/sign/rollover.h"
#include "t/unit/dnsd_zone.h"

#define HOUR 3600000u
enum { DATA = 10, KEYS = 2 /* hours */ };

/* Plays keyd and the image: does what is to be done, and says what that was. */
struct play {
	struct roll r;
	uint64_t next_id;
	struct buf said;
};

static void apply(struct play *p, const struct roll_act *a)
{
	struct roll *r = &p->r;
	unsigned i = 0;
	if (a->what == ROLL_MAKE) {
		assert_in_range(r->keys, 0, SIGN_KEYS - 1);
		r->key[r->keys++] = (struct roll_key){.id = ++p->next_id, .since = r->now};
		r->replace = false;
		buf_printf(&p->said, "make %u; ", (unsigned)p->next_id);
		return;
	}
	while (i < r->keys && r->key[i].id != a->id)
		i++;
	assert_in_range(i, 0, r->keys - 1);
	if (a->what == ROLL_DELETE) {
		buf_printf(&p->said, "delete %u; ", (unsigned)a->id);
		memmove(&r->key[i], &r->key[i + 1], (--r->keys - i) * sizeof(r->key[0]));
		return;
	}
	r->key[i].state = a->state;
	r->key[i].since = r->now;
	r->key[i].until = a->until;
	buf_printf(&p->said, "%u %s", (unsigned)a->id, rollover_state_text(a->state));
	if (a->until)
		buf_printf(&p->said, " %uh", (unsigned)((a->until - r->now) / HOUR));
	buf_adds(&p->said, "; ");
}

/* A build, so many hours later; served: it came to an end. */
static const char *build(struct play *p, unsigned hours, bool served)
{
	struct roll_act a;
	p->r.now += hours * (uint64_t)HOUR;
	buf_clear(&p->said);
	for (unsigned i = 0; (a = rollover_next(&p->r)).what != ROLL_NOTHING; i++) {
		assert_in_range(i, 0, 20);
		apply(p, &a);
	}
	for (unsigned i = 0; i < p->r.keys && served; i++)
		p->r.key[i].served = true;
	p->r.parent_done = p->r.replace = p->r.emergency = false;
	if (p->said.len)
		p->said.len -= 2;
	return buf_cstr(&p->said);
}

static void begin(struct play *p)
{
	*p = (struct play){.r = {.wanted = true,
				 .now = 1800000000000u,
				 .wait_data = DATA * HOUR,
				 .wait_keys = KEYS * HOUR}};
}

/* CDS of which key; "delete"; "" */
static const char *cds(const struct play *p)
{
	static char text[32];
	struct sign s = {0};
	rollover_publish(&p->r, &s);
	assert_int_equal(s.keys, p->r.keys);
	text[0] = 0;
	if (s.cds_delete)
		strcpy(text, "delete");
	for (unsigned i = 0; i < s.keys; i++)
		if (s.key[i].cds)
			snprintf(text + strlen(text), 16, "%u", (unsigned)s.key[i].id);
	return text;
}

static unsigned hours_left(const struct play *p)
{
	uint64_t due = rollover_due(&p->r);
	return due ? (unsigned)((due - p->r.now) / HOUR) : 0;
}

static void activate(struct play *p)
{
	begin(p);
	build(p, 0, true);
	build(p, DATA, true);
	p->r.parent_done = true;
	build(p, 1, true);
	assert_int_equal(p->r.key[0].state, ROLL_ACTIVE);
}

/* --- */

static void a_zone_is_signed_then_vouched_for(void **state)
{
	(void)state;
	struct play p;
	begin(&p);
	assert_string_equal(build(&p, 0, true), "make 1; 1 new 10h");
	assert_string_equal(cds(&p), "");
	assert_int_equal(hours_left(&p), 10);
	assert_false(rollover_awaits_parent(&p.r));
	p.r.parent_done = true; /* too early: nothing was asked for */
	assert_string_equal(build(&p, 9, true), "");
	assert_string_equal(build(&p, 1, true), "1 parent");
	assert_string_equal(cds(&p), "1");
	assert_true(rollover_awaits_parent(&p.r));
	assert_int_equal(hours_left(&p), 0);
	assert_string_equal(build(&p, 1000, true), "");
	p.r.parent_done = true;
	assert_string_equal(build(&p, 1, true), "1 active");
	assert_string_equal(cds(&p), "1");
	assert_string_equal(build(&p, 100000, true), "");
	buf_free(&p.said);
}

static void a_key_is_replaced(void **state)
{
	(void)state;
	struct play p;
	activate(&p);
	p.r.replace = true;
	assert_string_equal(build(&p, 1, true), "make 2; 2 new 10h");
	assert_string_equal(cds(&p), "1"); /* still */
	p.r.replace = true;                /* one at a time */
	assert_string_equal(build(&p, 9, true), "");
	assert_string_equal(build(&p, 1, true), "2 parent");
	assert_string_equal(cds(&p), "2");
	p.r.parent_done = true;
	p.r.ds_ms = 48 * HOUR;
	assert_string_equal(build(&p, 1, true), "2 caches 49h");
	assert_string_equal(cds(&p), "2");
	assert_string_equal(build(&p, 48, true), "");
	assert_int_equal(p.r.keys, 2);
	assert_string_equal(build(&p, 1, true), "delete 1; 2 active");
	assert_string_equal(cds(&p), "2");
	/* A day, when the parent says less. */
	p.r.replace = true;
	build(&p, 1, true);
	build(&p, DATA, true);
	p.r.parent_done = true;
	p.r.ds_ms = 5;
	assert_string_equal(build(&p, 1, true), "3 caches 25h");
	buf_free(&p.said);
}

static void what_was_not_published_is_not_counted_on(void **state)
{
	(void)state;
	struct play p;
	begin(&p);
	assert_string_equal(build(&p, 0, false), "make 1; 1 new 10h");
	assert_string_equal(build(&p, 0, false), "");
	assert_string_equal(build(&p, 20, true), "1 new 10h");
	assert_string_equal(build(&p, 9, true), "");
	assert_string_equal(build(&p, 1, true), "1 parent");
	buf_free(&p.said);
}

static void an_emergency_waits_for_keys_only(void **state)
{
	(void)state;
	struct play p;
	activate(&p);
	p.r.replace = p.r.emergency = true;
	assert_string_equal(build(&p, 0, true), "make 2; 2 new 2h");
	assert_string_equal(build(&p, 2, true), "2 parent");
	buf_free(&p.said);
	begin(&p);
	p.r.replace = p.r.emergency = true;
	assert_string_equal(build(&p, 0, true), "make 1; 1 parent");
	buf_free(&p.said);
}

static void a_first_key_after_a_loss_need_not_wait(void **state)
{
	(void)state;
	struct play p;
	begin(&p);
	assert_string_equal(build(&p, 0, true), "make 1; 1 new 10h");
	p.r.replace = p.r.emergency = true;
	assert_string_equal(build(&p, 1, true), "1 parent");
	assert_string_equal(cds(&p), "1");
	buf_free(&p.said);
}

/* Its TTLs may be longer. */
static void another_view_is_waited_for(void **state)
{
	(void)state;
	struct play p;
	begin(&p);
	p.r.unseen = true;
	assert_string_equal(build(&p, 0, true), "make 1");
	assert_string_equal(build(&p, 50, true), "");
	p.r.unseen = false;
	p.r.wait_data = 30 * (uint64_t)HOUR;
	assert_string_equal(build(&p, 0, true), "1 new 30h");
	buf_free(&p.said);
}

static void keys_are_replaced_when_they_are_old(void **state)
{
	(void)state;
	struct play p;
	activate(&p);
	p.r.interval = 1000 * (uint64_t)HOUR;
	assert_string_equal(build(&p, 999, true), "");
	assert_int_equal(hours_left(&p), 1);
	assert_string_equal(build(&p, 1, true), "make 2; 2 new 10h");
	buf_free(&p.said);
}

static void signing_ends_in_order(void **state)
{
	(void)state;
	struct play p;
	activate(&p);
	p.r.wanted = false;
	assert_string_equal(build(&p, 1, true), "1 leaving");
	assert_string_equal(cds(&p), "delete");
	assert_true(rollover_awaits_parent(&p.r));
	assert_string_equal(build(&p, 1000, true), "");
	p.r.parent_done = true;
	assert_string_equal(build(&p, 1, true), "1 left 25h");
	assert_string_equal(cds(&p), "delete");
	assert_int_equal(hours_left(&p), 25);
	assert_string_equal(build(&p, 24, true), "");
	assert_string_equal(build(&p, 1, true), "delete 1");
	assert_int_equal(p.r.keys, 0);
	assert_string_equal(build(&p, 1, true), "");
	buf_free(&p.said);
}

static void signing_ends_amid_a_replacement(void **state)
{
	(void)state;
	struct play p;
	activate(&p);
	p.r.replace = true;
	build(&p, 1, true);
	p.r.wanted = false;
	assert_string_equal(build(&p, 1, true), "1 leaving; 2 leaving 9h");
	p.r.parent_done = true;
	assert_string_equal(build(&p, 1, true), "1 left 25h; 2 left 25h");
	assert_string_equal(build(&p, 25, true), "delete 1; delete 2");
	buf_free(&p.said);
}

static void signing_is_turned_on_again(void **state)
{
	(void)state;
	struct play p;
	activate(&p);
	p.r.wanted = false;
	build(&p, 1, true);
	p.r.wanted = true;
	assert_string_equal(build(&p, 1, true), "1 parent");
	assert_string_equal(cds(&p), "1");
	p.r.parent_done = true;
	assert_string_equal(build(&p, 1, true), "1 active");
	/* Before anything was published there is nothing to end. */
	buf_free(&p.said);
	begin(&p);
	assert_string_equal(build(&p, 0, false), "make 1; 1 new 10h");
	p.r.key[0].state = ROLL_FRESH;
	p.r.wanted = false;
	assert_string_equal(build(&p, 1, true), "delete 1");
	buf_free(&p.said);
}

/* A parent that took a key's DS before caches know the key would make the zone wrong. */
static void off_and_on_again_shortens_no_wait(void **state)
{
	(void)state;
	struct play p;
	activate(&p);
	p.r.replace = true;
	assert_string_equal(build(&p, 1, true), "make 2; 2 new 10h");
	p.r.wanted = false;
	assert_string_equal(build(&p, 1, true), "1 leaving; 2 leaving 9h");
	p.r.wanted = true;
	assert_string_equal(build(&p, 1, true), "1 parent; 2 new 8h");
	assert_string_equal(cds(&p), "1");
	p.r.parent_done = true;
	assert_string_equal(build(&p, 1, true), "1 active");
	assert_string_equal(build(&p, 7, true), "2 parent");
	buf_free(&p.said);
	/* No DS was ever there: the parent is done at once. */
	begin(&p);
	p.r.wait_data = 48 * HOUR;
	assert_string_equal(build(&p, 0, true), "make 1; 1 new 48h");
	p.r.wanted = false;
	assert_string_equal(build(&p, 1, true), "1 leaving 47h");
	p.r.parent_done = true;
	assert_string_equal(build(&p, 0, true), "1 left 47h");
	p.r.wanted = true;
	assert_string_equal(build(&p, 1, true), "1 new 46h");
	assert_string_equal(cds(&p), "");
	assert_string_equal(build(&p, 46, true), "1 parent");
	buf_free(&p.said);
}

static void people_are_told(void **state)
{
	(void)state;
	struct play p;
	struct buf out = {0};
	const uint8_t *zone = wire_name("b.test");
	begin(&p);
	rollover_text(&p.r, zone, &out);
	assert_string_equal(buf_cstr(&out), "The zone is about to be signed.\n");
	build(&p, 0, true);
	buf_clear(&out);
	rollover_text(&p.r, zone, &out);
	assert_string_equal(
	    buf_cstr(&out),
	    "The zone is signed, but caches may know it as it was. Until 2027-01-15 "
	    "18:00 UTC the parent must have no DS record. Nothing is to be done.\n");
	build(&p, DATA, true);
	buf_clear(&out);
	rollover_text(&p.r, zone, &out);
	assert_non_null(strstr(buf_cstr(&out), "Hand this DS record to the parent"));
	assert_non_null(strstr(buf_cstr(&out), "\n  b.test. DS "));
	assert_non_null(strstr(buf_cstr(&out), "hamletctl zone dnssec b.test --ds-seen\n"));
	p.r.parent_done = true;
	build(&p, 0, true);
	p.r.replace = true;
	build(&p, 0, true);
	build(&p, DATA, true);
	buf_clear(&out);
	rollover_text(&p.r, zone, &out);
	assert_non_null(strstr(buf_cstr(&out), "replace its DS record by:\n  b.test. DS "));
	p.r.wanted = false;
	build(&p, 0, true);
	buf_clear(&out);
	rollover_text(&p.r, zone, &out);
	assert_non_null(strstr(buf_cstr(&out), "Signing is turned off"));
	buf_free(&out);
	buf_free(&p.said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_zone_is_signed_then_vouched_for),
	    cmocka_unit_test(a_key_is_replaced),
	    cmocka_unit_test(what_was_not_published_is_not_counted_on),
	    cmocka_unit_test(an_emergency_waits_for_keys_only),
	    cmocka_unit_test(a_first_key_after_a_loss_need_not_wait),
	    cmocka_unit_test(another_view_is_waited_for),
	    cmocka_unit_test(keys_are_replaced_when_they_are_old),
	    cmocka_unit_test(signing_ends_in_order),
	    cmocka_unit_test(signing_ends_amid_a_replacement),
	    cmocka_unit_test(signing_is_turned_on_again),
	    cmocka_unit_test(off_and_on_again_shortens_no_wait),
	    cmocka_unit_test(people_are_told),
	};
	return cmocka_run_group_tests_name("rollover", tests, NULL, NULL);
}
