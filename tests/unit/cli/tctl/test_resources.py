"""tctl get, create, edit, rm, api-resources against a real Auth Service: texts, formats, and what is refused."""

import json
import os
import stat
import sys
import threading

import pytest
import yaml

from teleport.model.resource import load

ROLE = """\
kind: role
version: v7
metadata:
  name: {name}
spec:
  allow:
    logins: [{login}]
"""


def role(name, login="root"):
    return ROLE.format(name=name, login=login)


def revision(host, name):
    return host.do(lambda cluster: cluster.service.store.get("role", name)).metadata.revision


def logins(host, name):
    return host.do(lambda cluster: cluster.service.store.get("role", name)).spec.allow.logins


# create


def test_create_from_standard_input_and_from_a_file(host, tmp_path):
    assert host.tctl("create", stdin=role("c-1")).out == 'role "c-1" has been created\n'
    assert host.tctl("create", "-", stdin=role("c-2")).out == 'role "c-2" has been created\n'
    file = tmp_path / "roles.yaml"
    file.write_text(role("c-3") + "---\n" + role("c-4"))
    assert host.tctl("create", str(file)).out == 'role "c-3" has been created\nrole "c-4" has been created\n'


def test_create_of_what_exists_needs_force(host):
    host.tctl("create", stdin=role("twice"))
    done = host.tctl("create", stdin=role("twice", "bob"), status=1)
    assert done.err.startswith('ERROR: role "twice" already exists\n')
    assert "use -f or --force flag to overwrite" in done.err
    assert host.tctl("create", "-f", stdin=role("twice", "bob")).out == 'role "twice" has been updated\n'
    assert logins(host, "twice") == ("bob",)
    assert host.tctl("create", "--force", stdin=role("new-by-force")).out == 'role "new-by-force" has been created\n'


def test_what_get_prints_can_be_created(host):
    host.tctl("create", stdin=role("round"))
    text = host.tctl("get", "role/round").out
    assert host.tctl("create", "-f", stdin=text).out == 'role "round" has been updated\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no resources found, empty input?"),
        ("# only a comment\n", "no resources found, empty input?"),
        ("kind: nothing\nmetadata: {name: x}\n", "nothing"),
        ("kind: node\nmetadata: {name: x}\n", "AUTH-NODE-AGENT"),
        (
            "kind: session_tracker\nmetadata: {name: x}\nspec: {session_id: x}\n",
            'creating resources of type "session_tracker" is not supported',
        ),
        ("kind: role\nmetadata: {name: x}\nspek: {}\n", "<stdin>:3:1"),
        ("a: [", "<stdin>:"),
        (b"\xff\xfe\xff", "it is not UTF-8 text"),
        ("x" * 1_000_001, "it has more than 1000000 bytes"),
    ],
)
def test_what_cannot_be_created(host, text, said):
    done = host.tctl("create", stdin=text, status=1)
    assert said in done.err
    assert done.out == ""


def test_file_that_is_missing_or_none(host, tmp_path):
    missing = str(tmp_path / "missing.yaml")
    assert f"open {missing}: no such file or directory" in host.tctl("create", missing, status=1).err
    assert "CLI-FILE" in host.tctl("create", str(tmp_path), status=1).err


def test_nothing_is_created_when_one_document_is_wrong(host):
    text = role("half-1") + "---\nkind: session_tracker\nmetadata: {name: x}\nspec: {}\n"
    host.tctl("create", stdin=text, status=1)
    assert host.tctl("get", "role/half-1", status=1).out == ""


# get


def test_get_is_yaml(host):
    host.tctl("create", stdin=role("g-1"))
    found = yaml.safe_load(host.tctl("get", "role/g-1").out)
    assert (found["kind"], found["metadata"]["name"]) == ("role", "g-1")
    assert host.tctl("get", "role", "g-1").out == host.tctl("get", "roles/g-1").out


def test_get_of_several_kinds_is_yaml_alone(host):
    documents = list(yaml.safe_load_all(host.tctl("get", "roles,cert_authority").out))
    assert {document["kind"] for document in documents} == {"role", "cert_authority"}
    for output_format in ("json", "text"):
        done = host.tctl("get", "roles,users", "--format", output_format, status=1)
        assert "mixed resource types only support YAML formatting" in done.err
        assert done.out == ""


def test_get_mixes_kinds_and_names(host):
    host.tctl("create", stdin=role("mixed-1") + "---\nkind: user\nmetadata: {name: mixed-2}\nspec: {roles: [access]}\n")
    documents = list(yaml.safe_load_all(host.tctl("get", "role/mixed-1,user/mixed-2", "lock").out))
    names = [(document["kind"], document["metadata"]["name"]) for document in documents]
    assert names[:2] == [("role", "mixed-1"), ("user", "mixed-2")]


def test_get_all_is_everything_with_its_secrets(host):
    text = "kind: token\nmetadata: {name: all-token-1}\nspec: {roles: [Node]}\n"
    host.tctl("create", stdin=text)
    found = list(yaml.safe_load_all(host.tctl("get", "all").out))
    assert {"role", "cert_authority", "cluster_name", "token"} <= {document["kind"] for document in found}
    assert ("token", "all-token-1") in {(document["kind"], document["metadata"]["name"]) for document in found}


def test_get_json_is_always_a_list(host):
    host.tctl("create", stdin=role("j-1"))
    assert [found["metadata"]["name"] for found in json.loads(host.tctl("get", "role/j-1", "--format=json").out)] == [
        "j-1"
    ]
    assert host.tctl("get", "nodes", "--format=json").out == "[]\n"


def test_get_text_has_the_columns_of_the_kind(host):
    lines = host.tctl("get", "cert_authority", "--format=text").out.splitlines()
    assert lines[0].split()[:5] == ["Cluster", "Name", "CA", "Type", "Fingerprint"]
    assert host.tctl("get", "users", "--format=text").out.startswith("User\n----")
    assert host.tctl("get", "nodes", "--format=text").out.splitlines() == [
        "Host UUID Public Address Labels Version", "--------- -------------- ------ -------",
    ]  # fmt: skip


def test_get_of_what_is_not_there(host):
    assert host.tctl("get", "role/none", status=1).err.startswith('ERROR: role "none" not found\n')
    assert "KIND-UNKNOWN" in host.tctl("get", "rolls", status=1).err


def test_private_keys_of_authorities_are_nowhere(host):
    assert "PRIVATE" not in host.tctl("get", "cert_authority", "--with-secrets").out


# rm


@pytest.mark.parametrize("word", ["rm", "del"])
def test_remove(host, word):
    host.tctl("create", stdin=role(f"r-{word}"))
    assert host.tctl(word, f"role/r-{word}").out == f'role "r-{word}" has been deleted\n'
    assert host.tctl(word, f"role/r-{word}", status=1).err.startswith(f'ERROR: role "r-{word}" not found\n')


def test_remove_several_at_once(host):
    for name in ("several-1", "several-2", "several-3"):
        host.tctl("create", stdin=role(name))
    done = host.tctl("rm", "role/several-1,role/several-2", "role/several-3")
    assert done.out == "".join(f'role "several-{n}" has been deleted\n' for n in (1, 2, 3))
    host.tctl("create", stdin=role("several-1"))
    done = host.tctl("rm", "role/several-1,role/none", status=1)
    assert done.out == 'role "several-1" has been deleted\n'
    assert done.err.startswith('ERROR: role "none" not found\n')


@pytest.mark.parametrize(
    ("words", "code"),
    [(("roles",), "CLI-RM-NAME"), (("cluster_name",), "CLI-RM-KIND"), (("role/access/x",), "KIND-REF")],
)
def test_what_cannot_be_removed(host, words, code):
    assert code in host.tctl("rm", *words, status=1).err


def test_own_authority_stays(host):
    done = host.tctl("rm", "cert_authority/host/example.com", status=1)
    assert "AUTH-OWN-AUTHORITY" in done.err


# edit


@pytest.fixture
def editor(monkeypatch, tmp_path):
    """Set an editor that runs Python over the file: `text` is its content; what it is set to is written."""

    def use(code, variable="TELEPORT_EDITOR"):
        script = tmp_path / "editor.py"
        script.write_text(
            "import sys, os\npath = sys.argv[1]\ntext = open(path).read()\n" + code + "\nopen(path, 'w').write(text)\n"
        )
        for name in ("TELEPORT_EDITOR", "VISUAL", "EDITOR"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(variable, f"{sys.executable} {script}")

    return use


def test_edit_stores_what_was_changed(host, editor):
    """S1-43: the editor of the environment is opened, and what it saves is applied."""
    host.tctl("create", stdin=role("e-1"))
    for variable, login in (("EDITOR", "a"), ("VISUAL", "b"), ("TELEPORT_EDITOR", "c")):
        editor(f"import re; text = re.sub(r'logins:\\n    - \\w+', 'logins:\\n    - {login}', text)", variable)
        assert host.tctl("edit", "role/e-1").out == 'role "e-1" has been updated\n'
        assert logins(host, "e-1") == (login,)


def test_edit_without_a_change_writes_nothing(host, editor):
    """S1-43: no change, no update."""
    host.tctl("create", stdin=role("e-same"))
    before = revision(host, "e-same")
    editor("pass")
    done = host.tctl("edit", "role/e-same")
    assert (done.out, done.err) == ("", "nothing was changed\n")
    assert revision(host, "e-same") == before


@pytest.mark.parametrize(
    "change",
    ["text.replace('name: e-name', 'name: other')", "text.replace('kind: role', 'kind: user').split('spec:')[0]"],
)
def test_edit_keeps_the_name(host, editor, change):
    host.tctl("create", "-f", stdin=role("e-name"))
    editor(f"text = {change}")
    done = host.tctl("edit", "role/e-name", status=1)
    assert "CLI-EDIT-RENAME" in done.err or "KIND" in done.err
    assert host.tctl("get", "role/other", status=1).out == ""


def test_edit_over_the_change_of_somebody_else_is_refused(host, editor, tmp_path):
    host.tctl("create", stdin=role("e-race"))

    async def meanwhile(cluster):
        await cluster.admin.upsert(load(yaml.safe_load(role("e-race", "meanwhile"))))

    ready, go = tmp_path / "ready", tmp_path / "go"
    editor(
        f"open({str(ready)!r}, 'w').close()\nimport time\nwhile not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
        "text = text.replace('root', 'mine')"
    )

    def other():
        while not ready.exists():
            pass
        host.do(meanwhile)
        go.touch()

    thread = threading.Thread(target=other)
    thread.start()
    done = host.tctl("edit", "role/e-race", status=1)
    thread.join()
    assert "code: STORE-COMPARE" in done.err
    assert "has been modified since it was read" in done.err
    assert logins(host, "e-race") == ("meanwhile",)


def test_edit_of_nonsense_says_where(host, editor):
    host.tctl("create", stdin=role("e-bad"))
    editor("text = text + 'nonsense: 1\\n'")
    done = host.tctl("edit", "role/e-bad", status=1)
    assert "role.yaml:" in done.err
    assert "nonsense" in done.err


def test_editor_sees_a_private_copy_that_is_gone_afterwards(host, editor, tmp_path):
    host.tctl("create", stdin=role("e-private"))
    told = tmp_path / "told"
    editor(
        "def mode(path): return os.stat(path).st_mode\n"
        f"open({str(told)!r}, 'w').write(f'{{path}} {{mode(path):o}} {{mode(os.path.dirname(path)):o}}')"
    )
    host.tctl("edit", "role/e-private")
    path, mode, folder = told.read_text().split()
    assert stat.S_IMODE(int(mode, 8)) == 0o600
    assert stat.S_IMODE(int(folder, 8)) == 0o700
    assert not os.path.exists(path)


@pytest.mark.parametrize("command", ["/no/such/editor", "false", "'unclosed"])
def test_editor_that_fails_changes_nothing(host, monkeypatch, command):
    host.tctl("create", "-f", stdin=role("e-fail"))
    monkeypatch.setenv("TELEPORT_EDITOR", command)
    before = revision(host, "e-fail")
    assert "CLI-EDITOR" in host.tctl("edit", "role/e-fail", status=1).err
    assert revision(host, "e-fail") == before


@pytest.mark.parametrize(
    ("word", "code"),
    [("roles", "CLI-EDIT-ONE"), ("role/access,role/editor", "CLI-EDIT-ONE"), ("cluster_name", "CLI-EDIT-KIND"),
     ("role/none", "STORE-RESOURCE-NOT-FOUND")],
)  # fmt: skip
def test_what_cannot_be_edited(host, monkeypatch, word, code):
    monkeypatch.setenv("TELEPORT_EDITOR", "true")
    err = host.tctl("edit", word, status=1).err
    assert code in err or "not found" in err


def test_kinds_are_listed(host):
    lines = host.tctl("api-resources").out.splitlines()
    assert lines[0].split() == ["Kind", "Aliases", "Versions", "Commands"]
    assert any(line.startswith("role ") for line in lines)
    (found,) = (kind for kind in json.loads(host.tctl("api-resources", "-f", "json").out) if kind["kind"] == "role")
    assert found["commands"] == ["create", "edit", "rm"]


# the role of the page on databases

MACHINE_ID_DB = """\
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
"""


def test_the_role_for_databases_is_shown_as_it_was_written(host):
    """S1-41: the role of the page is accepted without a warning. S1-42: `tctl get` prints it as YAML."""
    host.tctl("rm", "role/machine-id-db", status=None)  # others may have made one
    done = host.tctl("create", stdin=MACHINE_ID_DB)
    assert (done.out, done.err) == ('role "machine-id-db" has been created\n', "")
    shown = yaml.safe_load(host.tctl("get", "role/machine-id-db").out)
    assert (shown["kind"], shown["version"]) == ("role", "v5")
    assert shown["spec"]["allow"] == yaml.safe_load(MACHINE_ID_DB)["spec"]["allow"]


def test_databases_by_every_name_of_their_kind(host):
    spec = {"protocol": "postgres", "uri": "db.example.com:5432"}
    document = {"kind": "db", "version": "v3", "metadata": {"name": "sales", "labels": {"env": "dev"}}, "spec": spec}
    assert host.tctl("create", stdin=json.dumps(document)).out == 'database "sales" has been created\n'
    for words in (("db/sales",), ("databases/sales",), ("db", "sales")):
        assert yaml.safe_load(host.tctl("get", *words).out)["spec"]["uri"] == "db.example.com:5432"
    lines = host.tctl("get", "databases", "--format=text").out.splitlines()
    assert lines[0].split() == ["Name", "Protocol", "URI", "Labels"]
    assert lines[2].split() == ["sales", "postgres", "db.example.com:5432", "env=dev"]
    assert host.tctl("rm", "db/sales").out == 'database "sales" has been deleted\n'
    assert 'db "sales" not found' in host.tctl("get", "db/sales", status=1).err
    found = host.do(lambda cluster: cluster.events("db.create"))
    assert (found[-1]["name"], found[-1]["db_protocol"]) == ("sales", "postgres")
