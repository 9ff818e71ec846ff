/* Applies a schema to the tree of a configuration: types, defaults, needed and repeated
 * directives, and the nearest known name for one that is not known. */
#include "libcommon/base/conf.h"
#include <stdlib.h>
#include "libcommon/base/conf_tree.h"

struct apply {
	struct pool *pool;
	struct conf_errors *e;
};

static void block_read(struct apply *a, const struct conf_directive *table,
		       const struct conf_node *nodes, const struct conf_where *where,
		       const char *name, void *out);

static const struct conf_directive *directive_find(const struct conf_directive *table,
						   const char *name)
{
	for (; table->name; table++)
		if (strcmp(table->name, name) == 0)
			return table;
	return NULL;
}

static void unknown(struct apply *a, const struct conf_directive *table, const struct conf_node *n)
{
	const char *near = NULL;
	unsigned best = 4;
	if (strcmp(n->word[0], "version") == 0) {
		conf_error(a->e, &n->where, "version: stands once, at the start of the main file");
		return;
	}
	for (; table->name; table++) {
		unsigned d = str_distance(n->word[0], table->name, 3);
		/* Short names are near to everything: ask for more of them. */
		if (d < best && d * 2 < strlen(table->name) + 1) {
			best = d;
			near = table->name;
		}
	}
	if (near)
		conf_error(a->e, &n->where, "%s: no such directive (did you mean %s?)", n->word[0],
			   near);
	else
		conf_error(a->e, &n->where, "%s: no such directive", n->word[0]);
}

static void *list_add_item(struct apply *a, struct conf_list *l, size_t size)
{
	if ((l->n & (l->n - 1)) == 0) { /* full at each power of two */
		void **more = pool_alloc(a->pool, (l->n ? l->n * 2 : 1) * sizeof(*more));
		if (l->n)
			memcpy(more, l->item, l->n * sizeof(*more));
		l->item = more;
	}
	return l->item[l->n++] = pool_alloc(a->pool, size);
}

static void block_apply(struct apply *a, const struct conf_directive *d, const struct conf_node *n,
			void *field)
{
	if (!n->block && !(d->flags & CONF_OPTBLK)) {
		conf_error(a->e, &n->where, "%s: needs a block { ... }", d->name);
		return;
	}
	if (!!(d->flags & CONF_ARGS) != (n->n > 1)) {
		conf_error(a->e, &n->where,
			   d->flags & CONF_ARGS ? "%s: needs %s before its {"
						: "%s: takes no words before its {",
			   d->name, d->arg ? d->arg : "a word");
		return;
	}
	if (d->flags & CONF_MULTI)
		field = list_add_item(a, field, d->block_size);
	struct conf_block *b = field;
	b->present = true;
	b->where = n->where;
	b->args.n = n->n - 1;
	b->args.w = pool_alloc(a->pool, n->n * sizeof(char *));
	memcpy(b->args.w, n->word + 1, (n->n - 1) * sizeof(char *));
	block_read(a, d->block, n->child, &n->where, d->name, field);
}

/* Several networks in one line are as many lines. */
static void nets_apply(struct apply *a, const struct conf_directive *d, const struct conf_node *n,
		       void *field)
{
	for (size_t i = 1; i < n->n; i++) {
		const char *word[] = {n->word[0], n->word[i]};
		unsigned col[] = {n->col[0], n->col[i]};
		const struct conf_node one = {.where = n->where, .word = word, .col = col, .n = 2};
		conf_value_read(a->pool, a->e, d, &one,
				list_add_item(a, field, conf_value_size(d->type)));
	}
}

static void node_apply(struct apply *a, const struct conf_directive *d, const struct conf_node *n,
		       void *field)
{
	if (d->type == CONF_BLOCK) {
		block_apply(a, d, n, field);
		return;
	}
	if (n->block)
		conf_error(a->e, &n->where, "%s: takes no block", d->name);
	else if ((d->flags & CONF_MULTI) && d->type == CONF_NET && n->n > 2)
		nets_apply(a, d, n, field);
	else if (d->flags & CONF_MULTI)
		conf_value_read(a->pool, a->e, d, n,
				list_add_item(a, field, conf_value_size(d->type)));
	else
		conf_value_read(a->pool, a->e, d, n, field);
}

/* A default is config text of our own table: a mistake in it is a bug that the tests find. */
static void default_apply(struct apply *a, const struct conf_directive *d, void *field)
{
	struct conf_node *n;
	const char *text;
	if (d->type == CONF_BLOCK) {
		if (!(d->flags & CONF_MULTI))
			block_read(a, d->block, NULL, NULL, d->name, field);
		return;
	}
	if (!d->def)
		return;
	text = pool_printf(a->pool, "%s %s", d->name, d->def);
	n = conf_tree_text(a->pool, a->e, NULL, slice_of(text), NULL, 0);
	if (n)
		node_apply(a, d, n, field);
}

static void block_read(struct apply *a, const struct conf_directive *table,
		       const struct conf_node *nodes, const struct conf_where *where,
		       const char *name, void *out)
{
	size_t count = 0;
	for (const struct conf_directive *d = table; d->name; d++)
		count++;
	struct conf_where *given = pool_alloc(a->pool, (count + 1) * sizeof(*given));
	if (name) /* the file itself is no block */
		((struct conf_block *)out)->given = given;
	for (const struct conf_node *n = nodes; n; n = n->next) {
		const struct conf_directive *d = directive_find(table, n->word[0]);
		if (!d) {
			unknown(a, table, n);
			continue;
		}
		if (given[d - table].line && !(d->flags & CONF_MULTI)) {
			conf_error(a->e, &n->where, "%s: is given twice", d->name);
			continue;
		}
		if (!given[d - table].line)
			given[d - table] = n->where;
		node_apply(a, d, n, (char *)out + d->offset);
	}
	for (const struct conf_directive *d = table; d->name; d++) {
		if (given[d - table].line)
			continue;
		/* A block that is not there needs nothing inside it. */
		if ((d->flags & CONF_NEEDED) && !name)
			conf_error(a->e, NULL, "%s is missing", d->name);
		else if ((d->flags & CONF_NEEDED) && where)
			conf_error(a->e, where, "%s: %s is missing", name, d->name);
		default_apply(a, d, (char *)out + d->offset);
	}
}

const struct conf_where *conf_given(const struct conf_block *b, const struct conf_directive *table,
				    const char *name)
{
	const struct conf_where *w = &b->given[directive_find(table, name) - table];
	return w->line ? w : NULL;
}

static size_t field_size(const struct conf_directive *d)
{
	if (d->flags & CONF_MULTI)
		return sizeof(struct conf_list);
	return d->type == CONF_BLOCK ? d->block_size : conf_value_size(d->type);
}

void conf_inherit(const struct conf_directive *table, void *to, const void *from)
{
	struct conf_where *have = ((struct conf_block *)to)->given;
	const struct conf_where *said = ((const struct conf_block *)from)->given;
	for (size_t i = 0; table[i].name; i++) {
		void *field = (char *)to + table[i].offset;
		const void *source = (const char *)from + table[i].offset;
		if (!said[i].line)
			continue;
		if (!have[i].line) {
			memcpy(field, source, field_size(&table[i]));
			have[i] = said[i];
		} else if (table[i].type == CONF_BLOCK && !(table[i].flags & CONF_MULTI)) {
			conf_inherit(table[i].block, field, source);
		}
	}
}

static struct conf_node *version_check(struct conf_errors *e, struct conf_node *n)
{
	if (n && strcmp(n->word[0], "version") == 0) {
		if (n->n != 2 || n->block || strcmp(n->word[1], "1") != 0)
			conf_error(e, &n->where, "version: must be 1");
		return n->next;
	}
	if (e->count == 0)
		conf_error(e, n ? &n->where : NULL, "the first directive must be: version 1");
	return n;
}

static int finish(struct pool *pool, struct conf_errors *e, struct conf_node *tree,
		  const struct conf_directive *table, void *out, conf_check *check)
{
	struct apply a = {pool, e};
	struct conf_node *n = version_check(e, tree);
	block_read(&a, table, n, NULL, NULL, out);
	if (check && e->count == 0)
		check(e, out);
	return e->count;
}

int conf_load(struct pool *pool, const char *file, const struct conf_directive *table, void *out,
	      conf_check *check, FILE *err)
{
	struct conf_errors e = {err, file, 0};
	struct conf_node *tree = conf_tree_file(pool, &e, file, NULL, 0);
	if (!tree && e.count)
		return e.count;
	return finish(pool, &e, tree, table, out, check);
}

int conf_parse(struct pool *pool, const char *name, const char *text, size_t len,
	       const struct conf_directive *table, void *out, conf_check *check, FILE *err)
{
	struct conf_errors e = {err, name, 0};
	struct conf_node *tree = conf_tree_text(pool, &e, name, (struct slice){text, len}, NULL, 0);
	return finish(pool, &e, tree, table, out, check);
}
