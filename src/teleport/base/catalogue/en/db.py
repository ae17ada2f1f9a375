"""DB-*: databases."""

from teleport.base.catalogue import Page

PAGES = {
    "DB-NOT-FOUND-RBAC": Page(
        what='database "{name}" not found',
        why="there is none of the name, or the roles of this output do not show it: a bot may list databases only by a "
        "role that says so",
        fix="give the bot a role that has `rules: [{{resources: [db_server, db], verbs: [read, list]}}]`, and "
        "db_labels, db_names and db_users for the database: tctl edit role/ROLE, tctl bots update BOT --add-roles=ROLE;"
        " `roles` of the output must contain it or be left out; then reload tbot: pkill -sigusr1 tbot",
        more="""\
The role of an output that is for a database has at least

  kind: role
  version: v5
  metadata:
    name: machine-id-db
  spec:
    allow:
      db_labels:
        '*': '*'
      db_names: [example]
      db_users: [alice]
      rules:
        - resources: [db_server, db]
          verbs: [read, list]

People usually have the role `access`, which shows them databases; `tsh db ls` of a person is no proof for a bot. What
the output may see shows `tsh -i DIR/identity --proxy=HOST db ls`.""",
    ),
}
