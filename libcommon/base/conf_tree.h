/* conf_tree: a configuration text as a tree of directives, before any schema is applied.
 * Private to conf*.c. */
#ifndef BASE_CONF_TREE_H
#define BASE_CONF_TREE_H
#include "libcommon/base/conf.h"
#include "libcommon/base/str.h"

struct conf_errors {
	FILE *out;
	const char *file; /* the main file, for mistakes without a place */
	int count;
};

struct conf_node {
	struct conf_node *next;
	struct conf_node *child; /* of its block, in order */
	bool block;              /* has { } */
	struct conf_where where; /* of its first word */
	const char **word;       /* word[0] is the directive */
	unsigned *col;           /* of each word */
	size_t n;
};

/* The tree of a text. folder: where relative includes start, NULL: includes are refused.
 * Mistakes go to e; what could be read is returned (NULL: nothing). */
struct conf_node *conf_tree_text(struct pool *pool, struct conf_errors *e, const char *name,
				 struct slice text, const char *folder, unsigned depth);
/* The tree of a file; a file that cannot be read is a mistake at `from` (NULL: the file). */
struct conf_node *conf_tree_file(struct pool *pool, struct conf_errors *e, const char *path,
				 const struct conf_where *from, unsigned depth);

/* conf_value.c: one value of a directive into `field`. False after reporting to e. */
bool conf_value_read(struct pool *pool, struct conf_errors *e, const struct conf_directive *d,
		     const struct conf_node *node, void *field);
void conf_value_write(FILE *f, const struct conf_directive *d, const void *field);
/* Bytes of a field of the type (not of a block). */
size_t conf_value_size(enum conf_type t);
void conf_word_write(FILE *f, const char *word);
#endif
