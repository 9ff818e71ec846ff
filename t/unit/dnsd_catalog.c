/* Catalog zones: what dnsd.conf says of them, what is in ours. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>
#include "dnsd/catalog/catalog_int.h"
#include "dnsd/secondary/secondary.h"
#include "libcommon/base/clock.h"
#include "t/unit/dnsd_read.h"
#include "t/unit/dnsd_zone.h"

#define HEAD "version 1\ncontent 127.0.0.1:53\n"

static struct pool *pool;

static int begin(void **state)
{
	(void)state;
	clock_init();
	pool = pool_new(0);
	return 0;
}

static int end(void **state)
{
	pool_free(&pool);
	return free_said(state);
}

/* --- dnsd.conf ---------------------------------------------------------------------------------
 */

static void named_by_secondaries(void **state)
{
	(void)state;
	assert_int_equal(conf_read(pool, HEAD "secondary 192.0.2.2 catalog Cat.test\n"
					      "secondary 192.0.2.3 port 5353 catalog cat.test\n"
					      "secondary 192.0.2.4\n"
					      "secondary 192.0.2.5 catalog other.test\n"),
			 0);
	const struct zone_conf *z = conf_catalog_at(0);
	assert_string_equal(z->name, "Cat.test");
	assert_int_equal(z->catalog, CATALOG_OURS);
	assert_int_equal(z->xfr.may.n, 2);
	assert_int_equal(z->xfr.told.n, 2);
	assert_ptr_equal(conf_zone((const uint8_t *)"\3cat\4test"), z);
	z = conf_catalog_at(1);
	assert_string_equal(z->name, "other.test");
	assert_int_equal(z->xfr.may.n, 1);
	assert_null(conf_catalog_at(2));
	assert_int_equal(conf.xfr.told.n, 4);
	assert_ptr_equal(conf_zone_at(0), conf_catalog_at(0));
	assert_false(z->listed);
	assert_true(conf_zone((const uint8_t *)"\1x")->listed);
}

static void blocks(void **state)
{
	(void)state;
	assert_int_equal(conf_read(pool, HEAD
				   "catalog a.test\n"
				   "catalog b.test from 192.0.2.1 port 54\n"
				   "catalog c.test {\n\tprimary 192.0.2.1\n\tprimary 192.0.2.2\n"
				   "\tnotify 192.0.2.9\n}\n"
				   "secondary 192.0.2.2 catalog a.test\n"
				   "zone d.test {\n\tcatalog off\n}\n"),
			 0);
	const struct zone_conf *z = conf_catalog_at(0);
	assert_int_equal(z->catalog, CATALOG_OURS);
	assert_int_equal(z->xfr.may.n, 1);
	z = conf_catalog_at(1);
	assert_int_equal(z->catalog, CATALOG_THEIRS);
	assert_string_equal(z->primaries[0].text, "192.0.2.1 port 54");
	z = conf_catalog_at(2);
	assert_int_equal(z->primaries_n, 2);
	assert_int_equal(z->xfr.told.n, 1);
	assert_true(conf_has_secondaries(false));
	assert_false(conf_zone((const uint8_t *)"\1d\4test")->listed);
}

static void mistakes(void **state)
{
	(void)state;
	static const struct {
		const char *text, *said;
	} TRIES[] = {
	    {"catalog ..\n", "is not a name that a catalog may have"},
	    {"catalog a.test file x\n", "only `from ADDRESS` may follow the name"},
	    {"catalog a.test from x\n", "\"x\" is not an address"},
	    {"catalog a.test\ncatalog A.test\n", "zone A.test: is there twice"},
	    {"catalog a.test\nzone a.test\n", "zone a.test: is there twice"},
	    {"secondary 192.0.2.1 catalog ..\n", "is not a name that a catalog may have"},
	    {"secondary 192.0.2.1 catalog\n", "may follow here"},
	    {"allow-transfer 192.0.2.1 catalog a.test\n", "may follow here"},
	    {"notify 192.0.2.1 catalog a.test\n",
	     "notify: \"catalog\": [port N] [key NAME] may follow"},
	    {"zone b.test {\n\tsecondary 192.0.2.1 catalog a.test\n}\n",
	     "by a line outside of blocks"},
	};
	char text[200];
	for (size_t i = 0; i < sizeof(TRIES) / sizeof(TRIES[0]); i++) {
		snprintf(text, sizeof(text), HEAD "%s", TRIES[i].text);
		assert_int_not_equal(conf_read(pool, text), 0);
		if (!strstr(said, TRIES[i].said))
			fail_msg("%s: %s", TRIES[i].text, said);
	}
}

/* --- ours --------------------------------------------------------------------------------------
 */

static int folder;
static char path[] = "/tmp/hamlet-catalog-XXXXXX";

/* Compiles the first catalog; its records but the head's, one a line. */
static struct image *compile(bool *built)
{
	const struct zone_conf *z = conf_catalog_at(0);
	struct compile c = {.state = folder, .image = "cat", .zone = z->wire, .conf = z};
	compile_run(&c);
	if (c.errors.len)
		fprintf(stderr, "%.*s", SLICE_FMT(buf_slice(&c.errors)));
	assert_non_null(c.out);
	*built = c.built;
	buf_free(&c.errors);
	return c.out;
}

enum { ROOM = 4000 };

static void members_of(const struct image *image, char out[ROOM])
{
	struct image_walk w;
	struct zone_rr rr;
	char owner[DNS_NAME_TEXT], target[DNS_NAME_TEXT];
	*out = '\0';
	image_walk_begin(&w, image);
	while (image_walk_name(&w))
		while (image_walk_rr(&w, &rr)) {
			if (rr.type != DNS_PTR)
				continue;
			dns_name_text(owner, rr.owner);
			dns_name_text(target, rr.rdata);
			assert_string_equal(owner + 16, ".zones.cat.test");
			snprintf(out + strlen(out), ROOM - strlen(out), "%s ", target);
		}
	assert_false(w.bad);
}

static bool has_record(const struct image *image, const char *name, uint16_t type, const char *data,
		       size_t len)
{
	struct image_walk w;
	struct zone_rr rr;
	char owner[DNS_NAME_TEXT];
	bool found = false;
	image_walk_begin(&w, image);
	while (image_walk_name(&w))
		while (image_walk_rr(&w, &rr)) {
			dns_name_text(owner, rr.owner);
			found |= strcmp(owner, name) == 0 && rr.type == type && rr.rdlen >= len &&
				 memcmp(rr.rdata, data, len) == 0;
		}
	return found;
}

#define OURS HEAD "store off\ncatalog cat.test\n"

static void ours_lists_zones(void **state)
{
	(void)state;
	char members[ROOM];
	bool built;
	assert_non_null(mkdtemp(path));
	folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(conf_read(pool, OURS "zone a.test file a\nzone b.test from 192.0.2.1\n"
					      "zone c.test {\n\tfile c\n\tcatalog off\n}\n"
					      "catalog their.test from 192.0.2.1\n"),
			 0);
	struct image *image = compile(&built);
	assert_true(built);
	members_of(image, members);
	assert_true(strcmp(members, "a.test b.test ") == 0 ||
		    strcmp(members, "b.test a.test ") == 0);
	assert_true(has_record(image, "version.cat.test", DNS_TXT,
			       "\1"
			       "2",
			       2));
	assert_true(has_record(image, "cat.test", DNS_NS, "\7invalid", 9));
	assert_true(has_record(image, "cat.test", DNS_SOA, "\7invalid\0\7invalid", 18));
	uint32_t serial = image_serial(image);
	image_close(&image);

	image = compile(&built); /* nothing is new */
	assert_false(built);
	image_close(&image);

	assert_int_equal(conf_read(pool, OURS "zone b.test from 192.0.2.1\n"), 0);
	image = compile(&built);
	assert_true(built);
	members_of(image, members);
	assert_string_equal(members, "b.test ");
	assert_true((int32_t)(image_serial(image) - serial) > 0);
	image_close(&image);
	for (size_t i = 0; i < 3; i++)
		unlinkat(folder, (const char *[]){"cat", "cat.lock", "cat.journal"}[i], 0);
	close(folder);
	rmdir(path);
}

/* --- theirs --------------------------------------------------------------------------------------
 */

#define CAT     "@ 0 SOA invalid. invalid. 1 2 3 4 5\n@ 0 NS invalid.\n"
#define VERSION "version 0 TXT \"2\"\n"

/* What is read of it: "zone=label>coo ...", or why nothing is. */
static const char *read_it(const char *text)
{
	static struct buf out;
	struct catalog_list l;
	struct image *image = zone_image("cat.test", text);
	const char *why = catalog_read(image, &l);
	image_close(&image);
	buf_clear(&out);
	for (size_t i = 0; i < l.n; i++) {
		char zone[DNS_NAME_TEXT], label[DNS_NAME_TEXT], coo[DNS_NAME_TEXT] = "";
		dns_name_text(zone, l.entry[i].zone);
		dns_name_text(label, l.entry[i].label);
		if (l.entry[i].coo)
			dns_name_text(coo, l.entry[i].coo);
		buf_printf(&out, "%s=%s%s%s ", zone, label, *coo ? ">" : "", coo);
	}
	catalog_list_free(&l);
	return why ? why : out.len ? buf_cstr(&out) : "";
}

static void members_are_read(void **state)
{
	(void)state;
	static const struct {
		const char *text, *want;
	} TRIES[] = {
	    {CAT VERSION, ""},
	    {CAT VERSION "1.zones 0 PTR a.test.\nX.zones 0 PTR B.Test.\n", "a.test=1 b.test=x "},
	    /* What has no meaning here. */
	    {CAT VERSION "1.zones 0 PTR a.test.\ngroup.1.zones 0 TXT \"g\"\n"
			 "primaries.ext 0 A 192.0.2.1\nserial.1.zones 0 PTR b.test.\n"
			 "zones 0 PTR c.test.\n2 0 PTR d.test.\n2.more.zones 0 PTR e.test.\n"
			 "3.zones 0 TXT \"f.test\"\n",
	     "a.test=1 "},
	    {CAT VERSION "1.zones 0 PTR a.test.\n1.zones 0 TXT \"x\"\n", "a.test=1 "},
	    {CAT VERSION "1.zones 0 PTR a.test.\ncoo.1.zones 0 PTR New.test.\n"
			 "2.zones 0 PTR b.test.\ncoo.3.zones 0 PTR new.test.\n",
	     "a.test=1>new.test b.test=2 "},
	    /* coo of none, and a label like that of the property. */
	    {CAT VERSION "coo.zones 0 PTR a.test.\ncoo.coo.zones 0 PTR new.test.\n",
	     "a.test=coo>new.test "},
	    {CAT VERSION "1.zones 0 PTR .\n", ".=1 "},
	    /* Broken. */
	    {CAT, "it is not of version 2"},
	    {CAT "version 0 TXT \"1\"\n", "it is not of version 2"},
	    {CAT "version 0 TXT \"2\" \"2\"\n", "it is not of version 2"},
	    {CAT VERSION "version 0 TXT \"3\"\n", "it is not of version 2"},
	    {CAT "version.zones 0 TXT \"2\"\n", "it is not of version 2"},
	    {CAT VERSION "1.zones 0 PTR a.test.\n1.zones 0 PTR b.test.\n",
	     "a member has several PTR records"},
	    {CAT VERSION "1.zones 0 PTR a.test.\ncoo.1.zones 0 PTR b.test.\n"
			 "coo.1.zones 0 PTR c.test.\n",
	     "a member has several coo properties"},
	};
	zone_begin();
	for (size_t i = 0; i < sizeof(TRIES) / sizeof(TRIES[0]); i++)
		assert_string_equal(read_it(TRIES[i].text), TRIES[i].want);
	zone_end();
}

static void parsed(const char *text, const char *want)
{
	struct catalog_list l;
	struct buf out = {0};
	catalog_parse(slice_of(text), &l);
	for (size_t i = 0; i < l.n; i++)
		catalog_print(&l.entry[i], &out);
	assert_string_equal(out.len ? buf_cstr(&out) : "", want);
	buf_free(&out);
	catalog_list_free(&l);
}

static void the_file(void **state)
{
	(void)state;
	parsed("", "");
	parsed("a.test 1\nB.test X\n", "a.test 1\nb.test x\n");
	parsed("a.test 1", "a.test 1\n");
	parsed("a.test a\\.b\\032c\n", "a.test a\\.b\\032c\n");
	parsed("a.test\n\n 1\n.. 1\na.test 1.2\na.test .\nb.test 2 more\n", "b.test 2\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(named_by_secondaries, begin, end),
	    cmocka_unit_test_setup_teardown(blocks, begin, end),
	    cmocka_unit_test_setup_teardown(mistakes, begin, end),
	    cmocka_unit_test_setup_teardown(ours_lists_zones, begin, end),
	    cmocka_unit_test(members_are_read),
	    cmocka_unit_test(the_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
