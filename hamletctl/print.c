#include "hamletctl/hamletctl.h"
#include <string.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/conf.h"

enum { COLUMNS_MAX = 32 };

static void json_string(struct slice s)
{
	bool utf8 = str_utf8(s);
	putchar('"');
	for (size_t i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c == '"' || c == '\\')
			printf("\\%c", c);
		else if (c < 32 || c == 127)
			printf("\\u%04x", c);
		else if (c > 127 && !utf8)
			fputs("\\ufffd", stdout);
		else
			putchar(c);
	}
	putchar('"');
}

/* 0 is no time: it has not happened. */
static bool time_text(struct slice s, char out[32])
{
	uint64_t ms;
	if (!str_u64(s, &ms))
		return false;
	out[0] = 0;
	if (ms)
		clock_iso(out, 32, ms);
	return true;
}

/* "12", "0.040": what JSON, too, takes for a number. */
static bool is_number(struct slice s)
{
	uint64_t n;
	struct slice rest = s, whole = slice_cut(&rest, '.');
	bool leading_zero = whole.len > 1 && whole.p[0] == '0';
	return str_u64(whole, &n) && !leading_zero && (whole.len == s.len || str_u64(rest, &n));
}

static void json_value(const struct row_cell *c)
{
	char iso[32];
	if ((c->kind == CELL_NUMBER || c->kind == CELL_SIZE) && is_number(c->text))
		printf("%.*s", SLICE_FMT(c->text));
	else if (c->kind == CELL_BOOL)
		fputs(slice_eqs(c->text, "1") || slice_eqs(c->text, "yes") ? "true" : "false",
		      stdout);
	else if (c->kind == CELL_TIME && time_text(c->text, iso) && iso[0])
		printf("\"%s\"", iso);
	else if (c->kind == CELL_TIME)
		fputs("null", stdout);
	else
		json_string(c->text);
}

/* A peer's bytes must not play with the terminal: controls, and bytes that are not UTF-8, become
 * "?". */
static void text_value(const struct row_cell *c, bool lines)
{
	char iso[32];
	if (c->kind == CELL_TIME && time_text(c->text, iso)) {
		fputs(iso, stdout);
		return;
	}
	if (c->kind == CELL_BOOL) {
		fputs(slice_eqs(c->text, "1") || slice_eqs(c->text, "yes") ? "yes" : "no", stdout);
		return;
	}
	bool utf8 = str_utf8(c->text);
	for (size_t i = 0; i < c->text.len; i++) {
		unsigned char b = (unsigned char)c->text.p[i];
		bool layout = lines && (b == '\n' || b == '\t');
		bool bad = str_control_at(c->text, i) || (b > 127 && !utf8);
		putchar(bad && !layout ? '?' : b);
	}
}

static size_t text_width(const struct row_cell *c)
{
	char iso[32];
	if (c->kind == CELL_TIME && time_text(c->text, iso))
		return strlen(iso);
	if (c->kind == CELL_BOOL)
		return 3;
	size_t n = 0; /* of characters, not bytes */
	for (size_t i = 0; i < c->text.len; i++)
		n += ((unsigned char)c->text.p[i] & 0xc0) != 0x80;
	return n;
}

static void print_json(const struct row_cell *cells, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		bool first = i == 0 || cells[i - 1].record != cells[i].record;
		fputs(first ? "{" : ",", stdout);
		json_string(cells[i].name);
		putchar(':');
		json_value(&cells[i]);
		if (i + 1 == n || cells[i + 1].record != cells[i].record)
			fputs("}\n", stdout);
	}
}

static void print_record(const struct row_cell *cells, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (i && cells[i - 1].record != cells[i].record)
			putchar('\n');
		printf("%.*s: ", SLICE_FMT(cells[i].name));
		text_value(&cells[i], false);
		putchar('\n');
	}
}

/* All records of a table have the same columns, in the same order. */
static void print_table(const struct row_cell *cells, uint32_t n, bool header)
{
	size_t width[COLUMNS_MAX] = {0};
	uint32_t columns = 0;
	for (uint32_t i = 0, col = 0; i < n; i++) {
		col = i && cells[i - 1].record == cells[i].record ? col + 1 : 0;
		if (col >= COLUMNS_MAX)
			continue;
		columns = col + 1 > columns ? col + 1 : columns;
		size_t head = cells[i].name.len, w = text_width(&cells[i]);
		w = w > head ? w : head;
		width[col] = w > width[col] ? w : width[col];
	}
	for (uint32_t col = 0; header && col < columns && col < n; col++) {
		for (size_t k = 0; k < cells[col].name.len; k++) {
			char c = cells[col].name.p[k];
			putchar(c >= 'a' && c <= 'z' ? c - 32 : c);
		}
		if (col + 1 < columns)
			printf("%*s", (int)(width[col] - cells[col].name.len + 2), "");
	}
	if (header && n)
		putchar('\n');
	for (uint32_t i = 0, col = 0; i < n; i++) {
		col = i && cells[i - 1].record == cells[i].record ? col + 1 : 0;
		text_value(&cells[i], false);
		if (i + 1 < n && cells[i + 1].record == cells[i].record && col < COLUMNS_MAX)
			printf("%*s", (int)(width[col] - text_width(&cells[i]) + 2), "");
		else
			putchar('\n');
	}
}

void print_cells(const struct row_cell *cells, uint32_t n, enum shape shape)
{
	if (options.json) {
		print_json(cells, n);
		return;
	}
	switch (shape) {
	case SHAPE_TABLE:
		print_table(cells, n, true);
		break;
	case SHAPE_RECORD:
		print_record(cells, n);
		break;
	case SHAPE_RAW:
		for (uint32_t i = 0; i < n; i++) {
			text_value(&cells[i], true);
			if (!cells[i].text.len || cells[i].text.p[cells[i].text.len - 1] != '\n')
				putchar('\n');
		}
		break;
	}
}

void print_page(const struct row_cell *cells, uint32_t n, bool first)
{
	if (options.json)
		print_json(cells, n);
	else
		print_table(cells, n, first);
}

static struct row_cell cell_of_word(const char *word, uint32_t record)
{
	struct slice value = slice_of(word), key = slice_cut(&value, '=');
	bool ms = key.len > 3 && memcmp(key.p + key.len - 3, "_ms", 3) == 0;
	return (struct row_cell){.record = record,
				 .kind = ms                 ? CELL_TIME
					 : is_number(value) ? CELL_NUMBER
							    : CELL_TEXT,
				 .name = {key.p, key.len - (ms ? 3 : 0)},
				 .text = value};
}

size_t cells_of_lines(struct pool *pool, struct slice lines, struct row_cell **out)
{
	size_t n = 0, cap = 0;
	*out = NULL;
	for (uint32_t record = 0; lines.len; record++) {
		struct slice line = slice_cut(&lines, '\n');
		struct conf_words words;
		if (!conf_line(pool, line.p, line.len, &words))
			continue;
		for (size_t i = 0; i < words.n; i++) {
			struct row_cell c = cell_of_word(words.w[i], record);
			char *name = pool_strndup(pool, c.name.p, c.name.len);
			for (char *at = name; *at; at++) /* as all other names are spelled */
				*at = *at == '_' ? '-' : *at;
			c.name.p = name;
			*out = pool_grow(pool, *out, n, &cap, sizeof(**out));
			(*out)[n++] = c;
		}
	}
	return n;
}
