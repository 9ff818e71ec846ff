/* base: one database, its bodies, its schema. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include "libcommon/base/mem.h"
#include "stored/body.h"
#include "stored/sql.h"

static _Thread_local char why_text[400];

static struct base *give_up(struct base *b, const char *path, const char **why)
{
	/* *why may lie in what is freed. */
	char text[300];
	str_fmt(text, sizeof(text), "%s", *why ? *why : "?");
	if (strstr(text, path))
		str_fmt(why_text, sizeof(why_text), "%s", text);
	else
		str_fmt(why_text, sizeof(why_text), "%s: %s", path, text);
	*why = why_text;
	base_close(&b);
	return NULL;
}

static bool migrate(struct base *b, const char **why)
{
	if (!db_migrate(b->db, &schema_body, why))
		return false;
	if (b->shard)
		return db_migrate(b->db, &schema_shard, why);
	return db_migrate(b->db, &schema_dir, why) && db_migrate(b->db, &schema_queue, why);
}

static struct db *open_db(const struct base *b, enum db_mode mode, const char **why)
{
	return b->shard ? db_open(b->path, mode, sql_shard, SQL_SHARD_COUNT, why)
			: db_open(b->path, mode, sql_dir, SQL_DIR_COUNT, why);
}

struct base *base_open(const char *state_dir, unsigned shard, const char **why)
{
	struct base *b = mem_alloc(sizeof(*b));
	char name[64] = "directory";
	char path[1024];
	if (shard)
		str_fmt(name, sizeof(name), "shard-%u", shard);
	str_fmt(path, sizeof(path), "%s/%s.db", state_dir, name);
	*b = (struct base){
	    .shard = shard, .writer = true, .own_bodies = true, .path = mem_strdup(path)};
	*why = NULL;
	b->db = open_db(b, DB_WRITE, why);
	if (!b->db || !migrate(b, why) || !db_prepare(b->db, why))
		return give_up(b, path, why);
	str_fmt(path, sizeof(path), "%s/%s.seg", state_dir, name);
	b->bodies = bodies_open(b, path, why);
	if (!b->bodies)
		return give_up(b, path, why);
	return b;
}

struct base *base_reader(struct base *writer, const char **why)
{
	struct base *b = mem_alloc(sizeof(*b));
	*b = (struct base){.shard = writer->shard, .bodies = writer->bodies};
	b->path = mem_strdup(writer->path);
	b->db = open_db(b, DB_READ, why);
	if (!b->db)
		return give_up(b, writer->path, why);
	return b;
}

struct base *base_frozen(const char *dir, unsigned shard, const char **why)
{
	struct base *b = mem_alloc(sizeof(*b));
	char name[64] = "directory";
	char path[1024];
	if (shard)
		str_fmt(name, sizeof(name), "shard-%u", shard);
	str_fmt(path, sizeof(path), "%s/%s.db", dir, name);
	*b = (struct base){.shard = shard, .path = mem_strdup(path)};
	*why = NULL;
	b->db = open_db(b, DB_FROZEN, why);
	str_fmt(path, sizeof(path), "%s/%s.seg", dir, name);
	if (b->db)
		b->bodies = bodies_open(b, path, why);
	b->own_bodies = true;
	return b->bodies ? b : give_up(b, path, why);
}

void base_close(struct base **bp)
{
	struct base *b = *bp;
	*bp = NULL;
	if (!b)
		return;
	db_close(&b->db);
	if (b->own_bodies)
		bodies_close(&b->bodies);
	free((char *)b->path);
	free(b);
}

unsigned base_shards(const char *dir)
{
	char path[1024];
	unsigned n = 0;
	while (str_fmt(path, sizeof(path), "%s/shard-%u.db", dir, n + 1) && access(path, F_OK) == 0)
		n++;
	return n;
}
