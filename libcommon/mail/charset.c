#include "libcommon/mail/charset.h"
#include <errno.h>
#include <iconv.h>
#include <string.h>

enum kind { WESTERN, ASCII_UTF8, BY_ICONV };

/* The allowlist: names as mail writes them, and iconv's name. */
static const struct charset {
	const char *name;
	enum kind kind;
	const char *iconv;
} table[] = {
    {"utf-8", ASCII_UTF8, NULL},
    {"us-ascii", ASCII_UTF8, NULL},
    {"iso-8859-1", WESTERN, NULL},
    {"windows-1252", WESTERN, NULL},
    {"utf8", ASCII_UTF8, NULL},
    {"ascii", ASCII_UTF8, NULL},
    {"ansi_x3.4-1968", ASCII_UTF8, NULL},
    {"latin1", WESTERN, NULL},
    {"iso8859-1", WESTERN, NULL},
    {"iso_8859-1", WESTERN, NULL},
    {"cp1252", WESTERN, NULL},
    {"x-ansi", WESTERN, NULL},
    {"iso-8859-2", BY_ICONV, "ISO-8859-2"},
    {"iso-8859-3", BY_ICONV, "ISO-8859-3"},
    {"iso-8859-4", BY_ICONV, "ISO-8859-4"},
    {"iso-8859-5", BY_ICONV, "ISO-8859-5"},
    {"iso-8859-6", BY_ICONV, "ISO-8859-6"},
    {"iso-8859-7", BY_ICONV, "ISO-8859-7"},
    {"iso-8859-8", BY_ICONV, "ISO-8859-8"},
    {"iso-8859-8-i", BY_ICONV, "ISO-8859-8"},
    {"iso-8859-9", BY_ICONV, "ISO-8859-9"},
    {"iso-8859-10", BY_ICONV, "ISO-8859-10"},
    {"iso-8859-11", BY_ICONV, "ISO-8859-11"},
    {"iso-8859-13", BY_ICONV, "ISO-8859-13"},
    {"iso-8859-14", BY_ICONV, "ISO-8859-14"},
    {"iso-8859-15", BY_ICONV, "ISO-8859-15"},
    {"latin-9", BY_ICONV, "ISO-8859-15"},
    {"iso-8859-16", BY_ICONV, "ISO-8859-16"},
    {"windows-1250", BY_ICONV, "CP1250"},
    {"cp1250", BY_ICONV, "CP1250"},
    {"windows-1251", BY_ICONV, "CP1251"},
    {"cp1251", BY_ICONV, "CP1251"},
    {"windows-1253", BY_ICONV, "CP1253"},
    {"windows-1254", BY_ICONV, "CP1254"},
    {"windows-1255", BY_ICONV, "CP1255"},
    {"windows-1256", BY_ICONV, "CP1256"},
    {"windows-1257", BY_ICONV, "CP1257"},
    {"windows-1258", BY_ICONV, "CP1258"},
    {"windows-874", BY_ICONV, "CP874"},
    {"tis-620", BY_ICONV, "CP874"},
    {"koi8-r", BY_ICONV, "KOI8-R"},
    {"koi8-u", BY_ICONV, "KOI8-U"},
    {"ibm437", BY_ICONV, "CP437"},
    {"cp437", BY_ICONV, "CP437"},
    {"ibm850", BY_ICONV, "CP850"},
    {"cp850", BY_ICONV, "CP850"},
    {"ibm852", BY_ICONV, "CP852"},
    {"ibm866", BY_ICONV, "CP866"},
    {"cp866", BY_ICONV, "CP866"},
    {"macintosh", BY_ICONV, "MACINTOSH"},
    {"x-mac-roman", BY_ICONV, "MACINTOSH"},
    {"iso-2022-jp", BY_ICONV, "ISO-2022-JP-2"},
    {"iso-2022-jp-2", BY_ICONV, "ISO-2022-JP-2"},
    {"shift_jis", BY_ICONV, "CP932"},
    {"shift-jis", BY_ICONV, "CP932"},
    {"x-sjis", BY_ICONV, "CP932"},
    {"windows-31j", BY_ICONV, "CP932"},
    {"cp932", BY_ICONV, "CP932"},
    {"euc-jp", BY_ICONV, "EUC-JP-MS"},
    {"iso-2022-kr", BY_ICONV, "ISO-2022-KR"},
    {"euc-kr", BY_ICONV, "CP949"},
    {"ks_c_5601-1987", BY_ICONV, "CP949"},
    {"cp949", BY_ICONV, "CP949"},
    {"gb2312", BY_ICONV, "GB18030"},
    {"gbk", BY_ICONV, "GB18030"},
    {"cp936", BY_ICONV, "GB18030"},
    {"gb18030", BY_ICONV, "GB18030"},
    {"hz-gb-2312", BY_ICONV, "HZ"},
    {"big5", BY_ICONV, "BIG5-HKSCS"},
    {"big5-hkscs", BY_ICONV, "BIG5-HKSCS"},
    {"cp950", BY_ICONV, "BIG5-HKSCS"},
    {"utf-7", BY_ICONV, "UTF-7"},
    {"utf-16", BY_ICONV, "UTF-16"},
    {"utf-16le", BY_ICONV, "UTF-16LE"},
    {"utf-16be", BY_ICONV, "UTF-16BE"},
};

static const struct charset *find(struct slice name)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (slice_ieqs(name, table[i].name))
			return &table[i];
	return NULL;
}

void charset_init(void)
{
	static iconv_t kept[sizeof(table) / sizeof(table[0])];
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].kind == BY_ICONV && !kept[i])
			kept[i] = iconv_open("UTF-8", table[i].iconv); /* never closed */
}

static bool add_char(struct buf *out, unsigned c)
{
	char b[3];
	size_t n = 0;
	if (c < 0x80) {
		b[n++] = (char)c;
	} else if (c < 0x800) {
		b[n++] = (char)(0xC0 | c >> 6);
		b[n++] = (char)(0x80 | (c & 63));
	} else {
		b[n++] = (char)(0xE0 | c >> 12);
		b[n++] = (char)(0x80 | (c >> 6 & 63));
		b[n++] = (char)(0x80 | (c & 63));
	}
	return buf_add(out, b, n);
}

static bool add_western(struct buf *out, struct slice in)
{
	/* Windows-1252 at 0x80..0x9F; 0: not assigned. */
	static const unsigned short high[32] = {
	    0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160,
	    0x2039, 0x0152, 0,      0x017D, 0,      0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022,
	    0x2013, 0x2014, 0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};
	for (size_t i = 0; i < in.len; i++) {
		unsigned c = (unsigned char)in.p[i];
		if (c >= 0x80 && c < 0xA0)
			c = high[c - 0x80] ? high[c - 0x80] : 0xFFFD;
		if (!add_char(out, c))
			return false;
	}
	return true;
}

/* How many bytes at the start of s are one well-formed character; 0: none. */
static size_t char_at(struct slice s)
{
	unsigned char c = (unsigned char)s.p[0];
	size_t n = c < 0x80 ? 1 : c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
	return n <= s.len && str_utf8((struct slice){s.p, n}) ? n : 0;
}

static bool add_utf8(struct buf *out, struct slice in)
{
	if (str_utf8(in))
		return buf_add_slice(out, in);
	for (size_t i = 0; i < in.len;) {
		size_t n = char_at((struct slice){in.p + i, in.len - i});
		if (!(n ? buf_add(out, in.p + i, n) : add_char(out, 0xFFFD)))
			return false;
		i += n ? n : 1;
	}
	return true;
}

static bool add_iconv(struct buf *out, struct slice in, const char *from)
{
	iconv_t cd = iconv_open("UTF-8", from);
	if (cd == (iconv_t)-1)
		return add_western(out, in);
	char *p = (char *)in.p, tmp[512];
	size_t left = in.len;
	bool ok = true;
	while (ok) {
		char *o = tmp;
		size_t room = sizeof(tmp);
		size_t r = iconv(cd, left ? &p : NULL, left ? &left : NULL, &o, &room);
		int e = errno;
		ok = add_utf8(out, (struct slice){tmp, sizeof(tmp) - room});
		if (r == (size_t)-1 && e != E2BIG) {
			ok = ok && add_char(out, 0xFFFD);
			p++;
			left--;
		} else if (left == 0 && r != (size_t)-1) {
			break;
		}
	}
	iconv_close(cd);
	return ok;
}

bool charset_utf8(struct buf *out, struct slice in, struct slice name)
{
	const struct charset *c = find(name);
	if (c ? c->kind == ASCII_UTF8 : str_utf8(in))
		return add_utf8(out, in);
	if (c && c->kind == BY_ICONV)
		return add_iconv(out, in, c->iconv);
	return add_western(out, in);
}
