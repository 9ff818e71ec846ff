#include "libcommon/mail/date.h"

enum { VALUE_MAX = 256 };

/* Days since 1970 of a date in the Gregorian calendar; month and day from 1. */
static int64_t date_days(int64_t year, unsigned month, unsigned day)
{
	/* Years counted from March: the leap day is then the last of a year. */
	int64_t y = month > 2 ? year : year - 1;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t yoe = y - era * 400;
	int64_t m = month > 2 ? month - 3 : month + 9;
	int64_t doy = (153 * m + 2) / 5 + day - 1;
	int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
	return era * 146097 + doe - 719468;
}

struct parts {
	int day, month, year; /* -1: not seen */
	unsigned year_digits;
	int hour, min, sec; /* hour -1: not seen */
	int zone;
	bool has_zone;
	int pm; /* 12-hour clock: 1 pm, 0 am, -1 not said */
};

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool alpha(char c)
{
	c = str_lower(c);
	return c >= 'a' && c <= 'z';
}

/* Index of the three-letter name that w starts with; -1: none. */
static int name_of(struct slice w, const char *names)
{
	for (int i = 0; *names; i++, names += 3)
		if (w.len >= 3 && slice_ieq((struct slice){w.p, 3}, (struct slice){names, 3}))
			return i;
	return -1;
}

static bool zone_of(struct slice w, int *minutes)
{
	static const struct {
		const char *name;
		int hours;
	} zone[] = {{"UT", 0},   {"GMT", 0},  {"UTC", 0},  {"Z", 0},    {"EST", -5}, {"EDT", -4},
		    {"CST", -6}, {"CDT", -5}, {"MST", -7}, {"MDT", -6}, {"PST", -8}, {"PDT", -7},
		    {"BST", 1},  {"CET", 1},  {"MET", 1},  {"CEST", 2}, {"MEST", 2}, {"EET", 2},
		    {"EEST", 3}, {"MSK", 3},  {"JST", 9},  {"KST", 9}};
	for (size_t i = 0; i < sizeof(zone) / sizeof(zone[0]); i++)
		if (slice_ieqs(w, zone[i].name)) {
			*minutes = zone[i].hours * 60;
			return true;
		}
	*minutes = 0; /* military and unknown ones: RFC 5322 says -0000 */
	return w.len == 1;
}

static void take_word(struct parts *d, struct slice w)
{
	int month = name_of(w, "JanFebMarAprMayJunJulAugSepOctNovDec"), minutes;
	if (month >= 0 && d->month < 0) {
		d->month = month + 1;
	} else if (slice_ieqs(w, "AM") || slice_ieqs(w, "PM")) {
		d->pm = str_lower(w.p[0]) == 'p';
	} else if (!d->has_zone && d->hour >= 0 && zone_of(w, &minutes)) {
		d->zone = minutes;
		d->has_zone = true;
	}
}

/* Up to `max` digits at *s. Returns how many, 0: none. */
static unsigned number(struct slice *s, unsigned max, int *out)
{
	unsigned n = 0;
	int v = 0;
	while (n < s->len && n < max && digit(s->p[n]))
		v = v * 10 + (s->p[n++] - '0');
	*s = (struct slice){s->p + n, s->len - n};
	*out = v;
	return n;
}

static void take_zone(struct parts *d, struct slice *s)
{
	bool west = s->p[0] == '-';
	int a, b = 0;
	*s = (struct slice){s->p + 1, s->len - 1};
	unsigned n = number(s, 4, &a);
	if (n == 4 || n == 3) {
		b = a % 100;
		a /= 100;
	} else if (n && s->len && s->p[0] == ':') {
		*s = (struct slice){s->p + 1, s->len - 1};
		number(s, 2, &b);
	}
	if (n == 0 || d->has_zone || a > 24 || b > 59)
		return;
	d->has_zone = true;
	d->zone = (west ? -1 : 1) * (a * 60 + b);
}

/* The rest of "HH:MM[:SS]" after its hour. */
static void take_time(struct parts *d, struct slice *s, int hour)
{
	char sep = s->p[0];
	*s = (struct slice){s->p + 1, s->len - 1};
	d->hour = hour;
	number(s, 2, &d->min);
	if (s->len && s->p[0] == sep) {
		*s = (struct slice){s->p + 1, s->len - 1};
		number(s, 2, &d->sec);
	}
	if (s->len > 1 && s->p[0] == '.' && digit(s->p[1])) { /* fractions */
		do
			*s = (struct slice){s->p + 1, s->len - 1};
		while (s->len && digit(s->p[0]));
	}
}

static void take_number(struct parts *d, struct slice *s)
{
	int v;
	unsigned n = number(s, 9, &v);
	char next = s->len ? s->p[0] : 0;
	bool digit_next = s->len > 1 && digit(s->p[1]);
	if (d->hour < 0 && n <= 2 && digit_next &&
	    (next == ':' || (next == '.' && d->month > 0 && d->year >= 0))) {
		take_time(d, s, v);
	} else if (n == 4 && next == '-' && digit_next && d->year < 0 && d->month < 0) {
		/* 2026-11-23T21:07:00Z */
		d->year = v;
		d->year_digits = 4;
		*s = (struct slice){s->p + 1, s->len - 1};
		number(s, 2, &d->month);
		if (s->len > 1 && s->p[0] == '-' && digit(s->p[1])) {
			*s = (struct slice){s->p + 1, s->len - 1};
			number(s, 2, &d->day);
		}
	} else if (d->day < 0 && n <= 2) {
		d->day = v;
	} else if (d->year < 0) {
		d->year = v;
		d->year_digits = n;
	}
}

static void read_all(struct slice s, struct parts *d)
{
	unsigned comment = 0;
	char before = ' ';
	while (s.len) {
		char c = s.p[0];
		if (c == '(' || (c == ')' && comment))
			comment += c == '(' ? 1u : -1u;
		if (!comment && digit(c)) {
			take_number(d, &s);
		} else if (!comment && alpha(c)) {
			size_t n = 0;
			while (n < s.len && alpha(s.p[n]))
				n++;
			/* The T of ISO dates is no zone: the hour follows it. */
			take_word(d, (struct slice){s.p, n});
			s = (struct slice){s.p + n, s.len - n};
		} else if (!comment && (c == '+' || c == '-') && d->hour >= 0 && s.len > 1 &&
			   digit(s.p[1]) && (c == '+' || d->year >= 0 || before == ' ')) {
			take_zone(d, &s);
		} else {
			s = (struct slice){s.p + 1, s.len - 1};
		}
		before = c;
	}
}

static bool sane(const struct parts *d)
{
	static const unsigned char days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	return d->month >= 1 && d->month <= 12 && d->day >= 1 && d->day <= days[d->month - 1] &&
	       d->year >= 1900 && d->year <= 9999 && d->hour <= 24 && d->min <= 59 && d->sec <= 60;
}

bool date_parse(struct slice s, struct date *out)
{
	struct parts d = {.day = -1, .month = -1, .year = -1, .hour = -1, .pm = -1};
	if (s.len > VALUE_MAX)
		s.len = VALUE_MAX;
	read_all(s, &d);
	if (d.hour < 0)
		d.hour = 0;
	if (d.pm >= 0 && d.hour <= 12)
		d.hour = d.hour % 12 + 12 * d.pm;
	if (d.year >= 0 && d.year_digits <= 2)
		d.year += d.year < 50 ? 2000 : 1900;
	else if (d.year >= 0 && d.year_digits == 3)
		d.year += 1900;
	if (!sane(&d))
		return false;
	int64_t day = date_days(d.year, (unsigned)d.month, (unsigned)d.day);
	out->sec = day * 86400 + d.hour * 3600 + d.min * 60 + d.sec - d.zone * 60;
	out->zone = d.zone;
	return true;
}

/* The digits at those places; -1 when one is none. */
static int digits(struct slice s, size_t at, size_t n)
{
	int v = 0;
	for (size_t i = at; i < at + n; i++) {
		if (!digit(s.p[i]))
			return -1;
		v = v * 10 + (s.p[i] - '0');
	}
	return v;
}

/* "Z" or "+hh:mm". */
static bool strict_zone(struct slice s, int *minutes)
{
	*minutes = 0;
	if (slice_ieqs(s, "Z"))
		return true;
	if (s.len != 6 || (s.p[0] != '+' && s.p[0] != '-') || s.p[3] != ':')
		return false;
	int h = digits(s, 1, 2), m = digits(s, 4, 2);
	*minutes = (s.p[0] == '-' ? -1 : 1) * (h * 60 + m);
	return h >= 0 && h <= 23 && m >= 0 && m <= 59;
}

bool date_rfc3339(struct slice s, struct date *out)
{
	enum { SECONDS_END = 19 };
	if (s.len <= SECONDS_END || s.p[4] != '-' || s.p[7] != '-' || str_lower(s.p[10]) != 't' ||
	    s.p[13] != ':' || s.p[16] != ':')
		return false;
	struct parts d = {.year = digits(s, 0, 4),
			  .month = digits(s, 5, 2),
			  .day = digits(s, 8, 2),
			  .hour = digits(s, 11, 2),
			  .min = digits(s, 14, 2),
			  .sec = digits(s, 17, 2)};
	if (!sane(&d) || d.hour < 0 || d.hour > 23 || d.min < 0 || d.sec < 0)
		return false;
	size_t at = SECONDS_END;
	if (s.p[at] == '.') {
		size_t first = ++at;
		while (at < s.len && digit(s.p[at]))
			at++;
		if (at == first)
			return false;
	}
	if (!strict_zone((struct slice){s.p + at, s.len - at}, &out->zone))
		return false;
	int64_t day = date_days(d.year, (unsigned)d.month, (unsigned)d.day);
	out->sec = day * 86400 + d.hour * 3600 + d.min * 60 + d.sec - out->zone * 60;
	return true;
}
