/* What was understood, as config text; and a table as documentation. */
#include "libcommon/base/conf_tree.h"

static bool is_unset(const struct conf_directive *d, const void *field)
{
	if (d->type == CONF_STRING || d->type == CONF_PATH)
		return !*(const char *const *)field;
	if (d->type == CONF_WORDS)
		return ((const struct conf_words *)field)->n == 0;
	if (d->type == CONF_ADDR)
		return !((const struct conf_addr *)field)->text;
	if (d->type == CONF_NET)
		return ((const struct conf_net *)field)->sa.ss_family == 0;
	return false;
}

static void dump_block(FILE *f, const struct conf_directive *table, const void *conf, int depth);

static void indent(FILE *f, int depth)
{
	for (int i = 0; i < depth; i++)
		fputc('\t', f);
}

static void dump_one(FILE *f, const struct conf_directive *d, const void *field, int depth)
{
	const struct conf_block *b = field;
	if (d->type == CONF_BLOCK ? !b->present : is_unset(d, field))
		return;
	indent(f, depth);
	fputs(d->name, f);
	if (d->type != CONF_BLOCK) {
		fputc(' ', f);
		conf_value_write(f, d, field);
		fputc('\n', f);
		return;
	}
	for (size_t i = 0; i < b->args.n; i++) {
		fputc(' ', f);
		conf_word_write(f, b->args.w[i]);
	}
	fputs(" {\n", f);
	dump_block(f, d->block, field, depth + 1);
	indent(f, depth);
	fputs("}\n", f);
}

static void dump_block(FILE *f, const struct conf_directive *table, const void *conf, int depth)
{
	for (const struct conf_directive *d = table; d->name; d++) {
		const void *field = (const char *)conf + d->offset;
		if (!(d->flags & CONF_MULTI)) {
			dump_one(f, d, field, depth);
			continue;
		}
		const struct conf_list *l = field;
		for (size_t i = 0; i < l->n; i++)
			dump_one(f, d, l->item[i], depth);
	}
}

void conf_dump(FILE *f, const struct conf_directive *table, const void *conf)
{
	fputs("version 1\n", f);
	dump_block(f, table, conf, 0);
}

static void mdoc_args(FILE *f, const struct conf_directive *d)
{
	static const char *const what[] = {
	    [CONF_BOOL] = "on | off",     [CONF_INT] = "number",  [CONF_SIZE] = "size",
	    [CONF_DURATION] = "duration", [CONF_STRING] = "text", [CONF_WORDS] = "word ...",
	    [CONF_ADDR] = "address:port", [CONF_NET] = "network", [CONF_PATH] = "file"};
	if (d->arg)
		fprintf(f, " Ar %s", d->arg);
	if (d->type == CONF_BLOCK) {
		fputs(" { ... }", f);
	} else if (d->arg) {
		return;
	} else if (d->type == CONF_ENUM) {
		for (int i = 0; d->names[i]; i++)
			fprintf(f, "%s Cm %s", i ? " |" : "", d->names[i]);
	} else {
		fprintf(f, " Ar %s%s", what[d->type], d->flags & CONF_OKNEVER ? " | Cm never" : "");
	}
}

void conf_mdoc(FILE *f, const struct conf_directive *table)
{
	fputs(".Bl -tag -width Ds\n", f);
	for (const struct conf_directive *d = table; d->name; d++) {
		fprintf(f, ".It Ic %s", d->name);
		mdoc_args(f, d);
		fprintf(f, "\n%s\n", d->help ? d->help : "");
		if (d->flags & CONF_MULTI)
			fputs("May be given several times.\n", f);
		if (d->def)
			fprintf(f, "Default:\n.Ql %s .\n", d->def);
		if (d->type == CONF_BLOCK)
			conf_mdoc(f, d->block);
	}
	fputs(".El\n", f);
}
