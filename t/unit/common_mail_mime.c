/* mail/mime, mail/meta, mail/preview: the structure of messages, whole and broken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include "libcommon/mail/meta.h"
#include "libcommon/mail/preview.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* "type/subtype[header length,body length,lines]" and children in parentheses. */
static void show(struct buf *b, const struct mime_part *p)
{
	struct slice type, subtype;
	mime_type(p, &type, &subtype);
	buf_printf(b, "%.*s/%.*s[%d,%d,%d]", SLICE_FMT(type), SLICE_FMT(subtype),
		   (int)(p->body - p->head), (int)(p->end - p->body), (int)p->lines);
	if (p->child) {
		buf_addc(b, '(');
		for (const struct mime_part *c = p->child; c; c = c->next) {
			if (c != p->child)
				buf_addc(b, ' ');
			show(b, c);
		}
		buf_addc(b, ')');
	}
}

#define H(type) "Content-Type: " type "\r\n\r\n"
#define MIX     "Content-Type: multipart/mixed; boundary=b\r\n\r\n"

static const struct {
	const char *text, *want;
} structure[] = {
    {"Subject: x\r\n\r\nhello\r\n", "text/plain[14,7,1]"},
    {"Subject: x\n\nhello\nyou", "text/plain[12,9,2]"},
    {"Subject: x\r\n", "text/plain[12,0,0]"},
    {"Subject: x", "text/plain[10,0,0]"},
    {"\r\nbody", "text/plain[2,4,1]"},
    {"", "text/plain[0,0,0]"},
    {"no header at all\r\nreally\r\n", "text/plain[26,0,0]"},
    {H("text/html; charset=x") "a\r\n\r\nb", "text/html[38,6,3]"},
    {MIX "pre\r\n--b\r\n\r\none\r\n--b\r\n" H("image/png") "two\r\n--b--\r\npost\r\n",
     "multipart/mixed[45,67,10](text/plain[2,3,1] image/png[27,3,1])"},
    {MIX "--b\r\n\r\n\r\n--b--", "multipart/mixed[45,14,4](text/plain[2,0,0])"},
    {MIX "--b\r\n\r\n--b--", "multipart/mixed[45,12,3](text/plain[2,0,0])"},
    {MIX "--b\r\nX: y\r\n--b--", "multipart/mixed[45,16,3](text/plain[6,0,0])"},
    {MIX "--b\r\n\r\none", "multipart/mixed[45,10,3](text/plain[2,3,1])"},
    {MIX "--b \t\r\n\r\none\r\n--bb\r\n--b-\r\n --b\r\n--b--  \r\n",
     "multipart/mixed[45,41,7](text/plain[2,21,4])"},
    {MIX "nothing\r\n", "multipart/mixed[45,9,1]"},
    {H("multipart/mixed") "--b\r\n\r\nx", "multipart/mixed[33,8,3]"},
    {"Content-Type: multipart/mixed;\r\n\tboundary=\"=_a b\"\r\n\r\n--=_a b\r\n\r\n1\r\n--=_a b--",
     "multipart/mixed[53,23,4](text/plain[2,1,1])"},
    {"Content-Type: multipart/mixed; boundary*0=\"x\"; boundary*1=y\r\n\r\n--xy\r\n\r\n1\r\n--xy--",
     "multipart/mixed[63,17,4](text/plain[2,1,1])"},
    /* an outer boundary ends inner parts that nobody closed */
    {MIX "--b\r\n" H("multipart/alternative; boundary=c") "--c\r\n\r\n1\r\n--b\r\n\r\n2\r\n--b--",
     "multipart/mixed[45,81,10](multipart/alternative[51,8,3](text/plain[2,1,1]) "
     "text/plain[2,1,1])"},
    /* one boundary is the beginning of the other */
    {MIX "--b\r\n" H("multipart/related; boundary=bb") "--bb\r\n\r\n1\r\n--bb--\r\n--b--",
     "multipart/mixed[45,77,8](multipart/related[48,17,4](text/plain[2,1,1]))"},
    /* the same boundary inside and outside */
    {MIX "--b\r\n" H("multipart/related; boundary=b") "--b\r\n\r\n1\r\n--b--\r\n\r\n--b--",
     "multipart/mixed[45,76,9](multipart/related[47,17,4](text/plain[2,1,1]))"},
    {MIX "--b\r\n" H("message/rfc822") "Subject: y\r\n\r\nin\r\nside\r\n--b--",
     "multipart/mixed[45,66,8](message/rfc822[32,22,4](text/plain[14,8,2]))"},
    {H("multipart/digest; boundary=b") "--b\r\n\r\nSubject: y\r\n\r\nx\r\n--b--",
     "multipart/digest[46,29,6](message/rfc822[2,15,3](text/plain[14,1,1]))"},
    {"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\nU3Vi",
     "message/rfc822[67,4,1]"},
    {H("message/rfc822") MIX "--b\r\n\r\nx\r\n--b--",
     "message/rfc822[32,60,6](multipart/mixed[45,15,4](text/plain[2,1,1]))"},
    {H("message/delivery-status") "Reporting-MTA: dns;x\r\n", "message/delivery-status[41,22,1]"},
    {H("text") "x", "text/plain[22,1,1]"},
    {H("/") "x", "text/plain[19,1,1]"},
    {"Content-Type : text/html\r\n\r\nx", "text/html[28,1,1]"},
    {"Content-Type: text/html\r\nContent-Type: image/png\r\n\r\nx", "text/html[52,1,1]"},
    {"Content-Type:\r\n text/html;\r\n charset=x\r\n\r\nx", "text/html[42,1,1]"},
};

static void structure_is_seen(void **state)
{
	(void)state;
	struct pool *pool = pool_new(0);
	for (size_t i = 0; i < COUNT(structure); i++) {
		struct mime m;
		struct buf b;
		buf_init(&b, 0);
		mime_parse(pool, slice_of(structure[i].text), &m);
		show(&b, m.root);
		if (strcmp(buf_cstr(&b), structure[i].want) != 0)
			fail_msg("%s\nis\n%s", structure[i].text, buf_cstr(&b));
		assert_false(m.cut);
		buf_free(&b);
	}
	pool_free(&pool);
}

/* What a blob says must be what the parser saw. */
static void metadata_comes_back(void **state)
{
	(void)state;
	struct pool *pool = pool_new(0);
	for (size_t i = 0; i < COUNT(structure); i++) {
		struct buf blob, a;
		struct meta meta;
		buf_init(&blob, 0);
		buf_init(&a, 0);
		meta_encode(&blob, slice_of(structure[i].text));
		assert_true(meta_decode(pool, buf_slice(&blob), &meta));
		show(&a, meta.root);
		assert_string_equal(buf_cstr(&a), structure[i].want);
		assert_int_equal(meta.size, strlen(structure[i].text));
		for (size_t cut = 0; cut < blob.len; cut++)
			assert_false(meta_decode(pool, (struct slice){blob.p, cut}, &meta));
		buf_addc(&blob, 0);
		assert_false(meta_decode(pool, buf_slice(&blob), &meta));
		buf_free(&blob);
		buf_free(&a);
	}
	pool_free(&pool);
}

static void envelope_fields_are_kept(void **state)
{
	(void)state;
	static const char text[] = "Received: x\r\n"
				   "Date: Mon, 23 Nov 2026 21:07:00 +0000\r\n"
				   "subject: a\r\n  b \r\n"
				   "Subject: not this\r\n"
				   "From: A <a@a.test>\r\n"
				   "Sender: s@a.test\r\n"
				   "Reply-To: r@a.test\r\n"
				   "To: t@a.test\r\n"
				   "To: u@a.test,\r\n\tv@a.test\r\n"
				   "Cc:\r\n"
				   "Bcc: w@a.test\r\n"
				   "In-Reply-To: <1@a>\r\n"
				   "Message-ID: <2@a>\r\n"
				   "References: <1@a>\r\n\t<0@a>\r\n"
				   "Content-Type: text/plain; charset=utf-8\r\n"
				   "Content-Transfer-Encoding: 8bit\r\n"
				   "Content-ID: <c>\r\n"
				   "Content-Description: d\r\n"
				   "Content-Language: en, de\r\n"
				   "Content-Location: http://x/\r\n"
				   "Content-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\r\n"
				   "Content-Disposition: inline\r\n"
				   "\r\nhi\r\n";
	static const struct {
		enum mime_id id;
		const char *want;
	} row[] = {
	    {MIME_DATE, "Mon, 23 Nov 2026 21:07:00 +0000"},
	    {MIME_SUBJECT, "a  b"},
	    {MIME_FROM, "A <a@a.test>"},
	    {MIME_SENDER, "s@a.test"},
	    {MIME_REPLY_TO, "r@a.test"},
	    {MIME_TO, "t@a.test, u@a.test,\tv@a.test"},
	    {MIME_CC, ""},
	    {MIME_BCC, "w@a.test"},
	    {MIME_IN_REPLY_TO, "<1@a>"},
	    {MIME_MESSAGE_ID, "<2@a>"},
	    {MIME_REFERENCES, "<1@a>\t<0@a>"},
	    {MIME_CONTENT_TYPE, "text/plain; charset=utf-8"},
	    {MIME_ENCODING, "8bit"},
	    {MIME_CONTENT_ID, "<c>"},
	    {MIME_DESCRIPTION, "d"},
	    {MIME_LANGUAGE, "en, de"},
	    {MIME_LOCATION, "http://x/"},
	    {MIME_MD5, "Q2hlY2sgSW50ZWdyaXR5IQ=="},
	    {MIME_DISPOSITION, "inline"},
	};
	struct pool *pool = pool_new(0);
	struct buf blob;
	struct meta meta;
	buf_init(&blob, 0);
	meta_encode(&blob, SLICE(text));
	assert_true(meta_decode(pool, buf_slice(&blob), &meta));
	for (size_t i = 0; i < COUNT(row); i++) {
		struct slice v = mime_get(meta.root, row[i].id);
		if (!slice_eqs(v, row[i].want))
			fail_msg("field %d: %.*s", (int)row[i].id, SLICE_FMT(v));
	}
	assert_true(slice_eqs(meta.preview, "hi"));
	buf_free(&blob);
	pool_free(&pool);
}

static void nested_envelopes_are_kept_apart(void **state)
{
	(void)state;
	struct pool *pool = pool_new(0);
	struct mime m;
	mime_parse(pool,
		   SLICE("Subject: out\r\n" MIX "--b\r\nSubject: no\r\n" H(
		       "message/rfc822") "Subject: in\r\nTo: x\r\n\r\n--b--"),
		   &m);
	assert_true(slice_eqs(slice_trim(mime_get(m.root, MIME_SUBJECT)), "out"));
	assert_int_equal(mime_get(m.root->child, MIME_SUBJECT).len, 0);
	assert_true(slice_eqs(slice_trim(mime_get(m.root->child->child, MIME_SUBJECT)), "in"));
	pool_free(&pool);
}

static void limits_are_kept(void **state)
{
	(void)state;
	struct pool *pool = pool_new(0);
	struct mime m;
	struct meta meta;
	struct buf b, blob;
	buf_init(&b, 0);
	buf_init(&blob, 0);
	for (int i = 0; i < 200; i++)
		buf_printf(&b, "Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n", i,
			   i);
	mime_parse(pool, buf_slice(&b), &m);
	assert_true(m.cut);
	assert_int_equal(m.parts, MIME_DEPTH + 1);
	meta_encode(&blob, buf_slice(&b));
	assert_true(meta_decode(pool, buf_slice(&blob), &meta));
	assert_int_equal(meta.parts, MIME_DEPTH + 1);

	buf_clear(&b);
	for (int i = 0; i < 200; i++)
		buf_adds(&b, "Content-Type: message/rfc822\r\n\r\n");
	mime_parse(pool, buf_slice(&b), &m);
	assert_int_equal(m.parts, MIME_DEPTH + 1);
	assert_int_equal(m.root->child->lines, 396);

	buf_clear(&b);
	buf_clear(&blob);
	buf_adds(&b, MIX);
	for (int i = 0; i < 3000; i++)
		buf_adds(&b, "--b\r\n\r\nx\r\n");
	mime_parse(pool, buf_slice(&b), &m);
	assert_true(m.cut);
	assert_int_equal(m.parts, MIME_PARTS);
	meta_encode(&blob, buf_slice(&b));
	assert_true(meta_decode(pool, buf_slice(&blob), &meta));
	assert_true(meta.cut);

	buf_clear(&b);
	buf_clear(&blob);
	for (int i = 0; i < 100000; i++)
		buf_adds(&b, i % 2 ? "To: a@a.test\r\n" : "X: y\r\n z\r\n");
	buf_adds(&b, "\r\nbody");
	mime_parse(pool, buf_slice(&b), &m);
	assert_true(m.cut);
	assert_int_equal(m.root->end - m.root->body, 4);
	meta_encode(&blob, buf_slice(&b));
	assert_true(blob.len < 4096);

	buf_clear(&b);
	buf_clear(&blob);
	for (int i = 0; i < 3; i++) {
		buf_adds(&b, "To: ");
		for (int k = 0; k < 3000; k++)
			buf_adds(&b, "aaaaaa@a.test,\r\n\t");
		buf_adds(&b, "z@a.test\r\n");
	}
	meta_encode(&blob, buf_slice(&b));
	assert_true(meta_decode(pool, buf_slice(&blob), &meta));
	assert_in_range(mime_get(meta.root, MIME_TO).len, META_VALUE_MAX - 16, META_VALUE_MAX);
	buf_free(&b);
	buf_free(&blob);
	pool_free(&pool);
}

static void previews_show_the_first_words(void **state)
{
	(void)state;
	static const char *const row[][2] = {
	    {"\r\n Hello,\r\n\r\n\tworld \r\n", "Hello, world"},
	    {"\r\n> quoted\r\n> more\r\nanswer\r\n", "answer"},
	    {H("text/plain; charset=iso-8859-1") "caf\351", "caf\303\251"},
	    {"Content-Transfer-Encoding: quoted-printable\r\n\r\ncaf=C3=A9 =\r\nbar",
	     "caf\303\251 bar"},
	    {"Content-Transfer-Encoding: base64\r\n\r\naGVs\r\nbG8=", "hello"},
	    {H("text/html") "<html><head><title>t</title><style>p{}</style></head>"
			    "<body><!-- no > --><p>Hi&nbsp;&amp; "
			    "by<b>e</b></p>&#65;&#x42;&zwnj;&x</body>",
	     "Hi & by e AB&x"},
	    {MIX "--b\r\n" H("multipart/alternative; boundary=c") "--c\r\n" H(
		 "text/html") "<p>html\r\n--c\r\n\r\nplain\r\n--c--\r\n--b--",
	     "plain"},
	    {MIX "--b\r\n" H("text/html") "<p>html\r\n--b\r\n\r\nfooter\r\n--b--", "html"},
	    {MIX "--b\r\nContent-Disposition: attachment\r\n\r\nlog\r\n--b\r\n\r\nwords\r\n--b--",
	     "words"},
	    {H("image/png") "\211PNG", ""},
	    {H("message/rfc822") "\r\ninner", "inner"},
	    {H("text/html") "<style>never closed", ""},
	    {H("text/html") "<", ""},
	    {"\r\n", ""},
	};
	struct pool *pool = pool_new(0);
	for (size_t i = 0; i < COUNT(row); i++) {
		struct mime m;
		struct buf b;
		buf_init(&b, 0);
		mime_parse(pool, slice_of(row[i][0]), &m);
		preview_make(&b, pool, slice_of(row[i][0]), m.root);
		if (strcmp(buf_cstr(&b), row[i][1]) != 0)
			fail_msg("%s: %s", row[i][0], buf_cstr(&b));
		buf_free(&b);
	}
	pool_free(&pool);
}

static void long_previews_end_at_a_character(void **state)
{
	(void)state;
	struct pool *pool = pool_new(0);
	struct buf b, blob;
	struct meta meta;
	buf_init(&b, 0);
	buf_init(&blob, 0);
	buf_adds(&b, H("text/plain; charset=utf-8") " ");
	for (int i = 0; i < 3000; i++)
		buf_adds(&b, "\342\202\254");
	meta_encode(&blob, buf_slice(&b));
	assert_true(meta_decode(pool, buf_slice(&blob), &meta));
	assert_int_equal(meta.preview.len, 3 * PREVIEW_CHARS);
	buf_clear(&b);
	buf_clear(&blob);
	buf_adds(&b, "\r\n");
	for (int i = 0; i < 700; i++)
		buf_adds(&b, "   \303\244 \342\202\254" + (i % 2 ? 0 : 3));
	meta_encode(&blob, buf_slice(&b));
	assert_true(meta_decode(pool, buf_slice(&blob), &meta));
	assert_true(str_utf8(meta.preview));
	buf_free(&b);
	buf_free(&blob);
	pool_free(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(structure_is_seen),
	    cmocka_unit_test(metadata_comes_back),
	    cmocka_unit_test(envelope_fields_are_kept),
	    cmocka_unit_test(nested_envelopes_are_kept_apart),
	    cmocka_unit_test(limits_are_kept),
	    cmocka_unit_test(previews_show_the_first_words),
	    cmocka_unit_test(long_previews_end_at_a_character),
	};
	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
