/* The statement tables, made from the .def files. */
#include "stored/sql.h"

#define SQL(name, text) {#name, text},
const struct db_stmt_def sql_dir[] = {
#include "stored/sql_body.def"
#include "stored/sql_dir.def"
#include "stored/sql_queue.def"
#include "stored/sql_zone.def"
#include "stored/sql_check_dir.def"
};
const struct db_stmt_def sql_shard[] = {
#include "stored/sql_body.def"
#include "stored/sql_shard.def"
#include "stored/sql_check_shard.def"
};
#undef SQL
