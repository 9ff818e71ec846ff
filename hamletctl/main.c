/* hamletctl [-c CONFDIR] [-r RUNDIR] [--json] [--password-stdin] NOUN VERB ... */
#include "hamletctl/hamletctl.h"
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <sysexits.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/log.h"
#include "libcommon/base/mem.h"
#include "libcommon/base/rundir.h"

enum {
	OPT_JSON = 256,
	OPT_PASSWORD,
	OPT_TO,
	OPT_FROM,
	OPT_ALL,
	OPT_TTL,
	OPT_ALGORITHM,
	OPT_YES,
	OPT_FORCE,
	OPT_ROLL,
	OPT_EMERGENCY,
	OPT_DS_SEEN,
	WORDS_MAX = 8,
};

/* The options of commands are words to them, the last ones, wherever they were typed. */
static struct {
	const char *word[WORDS_MAX];
	int n;
} tail;

static void add(const char *option, const char *value)
{
	if (tail.n + 2 > WORDS_MAX) /* no command takes as many: this is one word too many, too */
		return;
	tail.word[tail.n++] = option;
	if (value)
		tail.word[tail.n++] = value;
}

static int run(int argc, char **argv)
{
	const char **word = mem_alloc((size_t)(argc + tail.n + 1) * sizeof(*word));
	for (int i = 0; i < argc; i++)
		word[i] = argv[i];
	for (int i = 0; i < tail.n; i++)
		word[argc + i] = tail.word[i];
	int status = cmd_run(argc + tail.n, word);
	free(word);
	return status;
}

/* -1: go on; else the exit status. Options may stand anywhere: people add --json at the end. "--"
 * ends them. */
static int read_options(int argc, char **argv, const char **conf_dir)
{
	static const struct option longs[] = {{"json", no_argument, NULL, OPT_JSON},
					      {"password-stdin", no_argument, NULL, OPT_PASSWORD},
					      {"to", required_argument, NULL, OPT_TO},
					      {"from", required_argument, NULL, OPT_FROM},
					      {"all", no_argument, NULL, OPT_ALL},
					      {"ttl", required_argument, NULL, OPT_TTL},
					      {"algorithm", required_argument, NULL, OPT_ALGORITHM},
					      {"yes", no_argument, NULL, OPT_YES},
					      {"force", no_argument, NULL, OPT_FORCE},
					      {"roll", no_argument, NULL, OPT_ROLL},
					      {"emergency", no_argument, NULL, OPT_EMERGENCY},
					      {"ds-seen", no_argument, NULL, OPT_DS_SEEN},
					      {"help", no_argument, NULL, 'h'},
					      {"version", no_argument, NULL, 'V'},
					      {NULL, 0, NULL, 0}};
	int opt;
	while ((opt = getopt_long(argc, argv, "c:r:hV", longs, NULL)) != -1) {
		switch (opt) {
		case 'c':
			*conf_dir = optarg;
			break;
		case 'r':
			options.run_dir = optarg;
			break;
		case OPT_JSON:
			options.json = true;
			break;
		case OPT_PASSWORD:
			options.password_stdin = true;
			break;
		case OPT_TO:
			add("--to", optarg);
			break;
		case OPT_FROM:
			add("--from", optarg);
			break;
		case OPT_ALL:
			add("--all", NULL);
			break;
		case OPT_TTL:
			add("--ttl", optarg);
			break;
		case OPT_ALGORITHM:
			add("--algorithm", optarg);
			break;
		case OPT_YES:
			add("--yes", NULL);
			break;
		case OPT_FORCE:
			add("--force", NULL);
			break;
		case OPT_ROLL:
			add("--roll", NULL);
			break;
		case OPT_EMERGENCY:
			add("--emergency", NULL);
			break;
		case OPT_DS_SEEN:
			add("--ds-seen", NULL);
			break;
		case 'h':
			cmd_help(stdout, NULL);
			return 0;
		case 'V':
			printf("hamletctl %s\n", HAMLET_VERSION);
			return 0;
		default:
			return EX_USAGE;
		}
	}
	return -1;
}

int main(int argc, char **argv)
{
	const char *conf_dir = "/etc/hamlet";
	signal(SIGPIPE, SIG_IGN);
	clock_init();
	log_init("hamletctl", LOG_TO_STDERR, LOG_LV_WARN);
	int status = read_options(argc, argv, &conf_dir);
	if (status >= 0)
		return status;
	struct pool *pool = pool_new(0);
	if (!options.run_dir)
		options.run_dir = rundir_find(pool, conf_dir);
	status = run(argc - optind, argv + optind);
	pool_free(&pool);
	if (fflush(stdout) != 0 || ferror(stdout))
		return complain(EX_IOERR, "cannot write to standard output");
	return status;
}
