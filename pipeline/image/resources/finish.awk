# Puts the values of environment variables into a configuration, before relx's start script would: relx's own awk makes
# regular expressions of them and spins for ever on some (relx issues 952 and 953).
# ${VAR} of an unset variable is nothing; ${VAR:-default} ends at the first "}" that closes no ${...} of the default's
# own. A value is put in as it is and never looked at again; a default is.
# Standard input is the file, standard output the finished one. Run it with LC_ALL=C: it counts bytes.
# All that it is told comes in environment variables, whose text awk leaves alone:
#   FINISH       "config": replace, no more
#                "plain": copy, no more
#                "args": an arguments file. It is read as erlexec reads it, so that what counts is known, and written
#                anew with one option a line, as relx's start script looks for them.
#   FINISH_FILE  the name of the file, for messages
#   FINISH_FACTS (args) the file to write: lines "KEY VALUE" of what others must know to ask the node
#   FINISH_NAME  (args) the node's name where the file has none
#   FINISH_HOST  (args) the short name of this host
#   FINISH_MODE  (args) local or cluster
#   FINISH_OWN_INTERFACE (args) not empty: where the distribution listens is set elsewhere
#   RELX_COOKIE  (args) the cookie of this start
#   ERL_DIST_PORT (args) the port of the distribution, where it is known

# The text of a line with its variables replaced.
function replaced(line, out, at) {
    out = ""
    while ((at = index(line, "${")) > 0) {
        if (!variable(substr(line, at + 2))) {
            out = out substr(line, 1, at + 1)
            line = substr(line, at + 2)
            continue
        }
        out = out substr(line, 1, at - 1)
        line = substr(line, at + 2 + length_of_variable)
        # The globals are another's after the next call.
        if (has_value)
            out = out value_of_variable
        else
            out = out replaced(default_of_variable)
    }
    return out line
}

# Reads what follows "${"; tells whether it is a variable, and sets globals of it.
function variable(rest, close_at, default_at, open_at, name) {
    close_at = index(rest, "}")
    if (!close_at)
        return 0
    default_at = index(rest, ":-")
    open_at = index(rest, "${")
    if (!default_at || default_at > close_at) {
        # "${" inside a name: the first was text.
        if (open_at && open_at < close_at)
            return 0
        name = substr(rest, 1, close_at - 1)
        default_of_variable = ""
        has_default = 0
        length_of_variable = close_at
    } else {
        if (open_at && open_at < default_at)
            return 0
        name = substr(rest, 1, default_at - 1)
        close_at = end_of_default(rest, default_at + 2, close_at)
        default_of_variable = substr(rest, default_at + 2, close_at - default_at - 2)
        has_default = 1
        length_of_variable = close_at
    }
    name_of_variable = name
    value_of_variable = (name in ENVIRON) ? ENVIRON[name] "" : ""
    has_value = value_of_variable != ""
    return 1
}

function end_of_default(text, from, otherwise, at, depth) {
    depth = 0
    for (at = from; at <= length(text); at++) {
        if (substr(text, at, 2) == "${") {
            depth++
            at++
        } else if (substr(text, at, 1) == "}") {
            if (!depth)
                return at
            depth--
        }
    }
    return otherwise
}

function fail(message) {
    print ENVIRON["RELEASE_NAME"] ": " message | "cat >&2"
    close("cat >&2")
    failed = 1
    exit 78
}

# Reads an arguments file, given as its text, as erlexec's build_args_from_string does: words end at white space and at
# "#", which begins a comment; quotes hold everything but themselves; outside of them a backslash takes what follows.
function read_arguments(text, file, raw, line, at, char) {
    line = 1
    begin_word()
    in_comment = 0
    for (at = 1; at <= length(text); at++) {
        char = substr(text, at, 1)
        if (in_comment) {
            if (char == "\n") {
                in_comment = 0
                line++
            }
            continue
        }
        if (!raw && substr(text, at, 2) == "${" && variable(rest_of_line(text, at + 2))) {
            at += 1 + length_of_variable
            put_variable(file, line)
            continue
        }
        put(char, file, line)
        if (char == "\n")
            line++
    }
    # erlexec closes an open quote at the end.
    quote = ""
    escaped = 0
    put("\n", file, line)
}

function rest_of_line(text, from, rest, end) {
    rest = substr(text, from)
    end = index(rest, "\n")
    return end ? substr(rest, 1, end - 1) : rest
}

function begin_word() {
    word = ""
    in_word = 0
    quote = ""
    escaped = 0
    unset_in_word = ""
}

function put_variable(file, line, text, name, at, option) {
    name = name_of_variable
    text = has_value ? value_of_variable : ""
    if (!has_value && has_default)
        text = replaced(default_of_variable)
    option = words ? kinds[words] : ""
    if (option == "-setcookie") {
        # The cookie under another name: where nobody set it, the one that was made for this start is meant.
        if (text == "" && !has_default)
            text = ENVIRON["RELX_COOKIE"] ""
        if (bad_cookie(text))
            fail(file ":" line ": the value of " name " is not a valid cookie: " bad_cookie(text))
    }
    if (text == "" && !has_default) {
        unset_in_word = unset_in_word (unset_in_word == "" ? "" : ", ") name
        if (option == "-name" || option == "-sname")
            unset_names[words] = unset_in_word
    }
    for (at = 1; at <= length(text); at++)
        put(substr(text, at, 1), file, line)
}

# Takes one character.
function put(char, file, line) {
    if (in_comment) {
        if (char == "\n")
            in_comment = 0
    } else if (escaped) {
        word = word char
        escaped = 0
    } else if (quote != "") {
        if (char == quote)
            quote = ""
        else
            word = word char
    } else if (index(" \t\r\n\f\v", char) || char == "#") {
        if (in_word)
            add_word(file, line)
        if (char == "#")
            in_comment = 1
    } else {
        in_word = 1
        if (char == "\"" || char == SINGLE)
            quote = char
        else if (char == "\\")
            escaped = 1
        else
            word = word char
    }
}

function add_word(file, line, name) {
    if (nested_next) {
        nested_next = 0
        name = word
        begin_word()
        include(name, file, line)
        return
    }
    if (word == "-args_file") {
        nested_next = 1
        begin_word()
        return
    }
    words++
    text_of[words] = word
    file_of[words] = file
    line_of[words] = line
    # Only a word that stands as an option is one; "-extra" ends them.
    kinds[words] = extra ? "" : word
    if (word == "-extra")
        extra = 1
    begin_word()
}

# erlexec puts the words of a file that is named in another in its place; so do we, and one file is left.
function include(name, file, line, text, one, got) {
    if (++depth > 20)
        fail(file ":" line ": -args_file " name ": these files include each other; remove one of the -args_file lines")
    text = ""
    while ((got = (getline one < name)) > 0)
        text = text one "\n"
    if (got < 0)
        fail(file ":" line ": -args_file " name ": this file does not exist or cannot be read")
    close(name)
    read_arguments(text, name, 1)
    if (extra)
        fail(name ": -extra is in an included file; move it to the end of " ENVIRON["FINISH_FILE"])
    depth--
}

# Why a text cannot be a cookie; nothing if it can.
function bad_cookie(text, found) {
    if (text == "")
        return "it is empty"
    if (length(text) > 255)
        return "it has more than 255 characters"
    if (text ~ /^[+-]/)
        return "it begins with " substr(text, 1, 1)
    if (text ~ /^[!-~]*$/ && !match(text, /["#\\]/) && !index(text, SINGLE))
        return ""
    return "only printable ASCII characters are allowed, without space, #, quotes and backslash"
}

# The number of words that follow an option, up to the next.
function count_of(at, n) {
    for (n = 0; at + n + 1 <= words && text_of[at + n + 1] !~ /^[+-]/; n++)
        ;
    return n
}

function check_words(at, option, where, n, value) {
    for (at = 1; at <= words; at++) {
        option = kinds[at]
        where = file_of[at] ":" line_of[at] ": "
        n = count_of(at)
        value = n ? text_of[at + 1] : ""
        if (option == "-setcookie") {
            if (cookie_at)
                fail(where "a second -setcookie (the first is in line " line_of[cookie_at] "); remove one of them")
            if (n != 1)
                fail(where "-setcookie needs one value, such as -setcookie ${RELX_COOKIE}, but has " n "; a comment begins with #")
            if (bad_cookie(value))
                fail(where "this cookie is not valid: " bad_cookie(value))
            cookie_at = at
            cookie = value
        } else if (option == "-name" || option == "-sname") {
            if (name_at)
                fail(where option ": the node already has a name, in line " line_of[name_at] "; remove one of them")
            if (n > 1 || value !~ /^[0-9A-Za-z_-]+(@[0-9A-Za-z_.:%-]+)?$/) {
                if (at in unset_names)
                    fail(where option " needs " unset_names[at] ", which is not set")
                if (n > 1)
                    fail(where option " takes one value, but " text_of[at + 2] " is a second one; a comment begins with #")
                fail(where option " needs a node name, such as demo@127.0.0.1, but has \"" value "\"")
            }
            name_at = at
            kind = option
            name = value
        } else if (option == "-proto_dist")
            proto = value
        else if (option == "-erl_epmd_port")
            port = value
        else if (option == "-ssl_dist_optfile")
            optfile = value
        else if (option == "-start_epmd")
            start_epmd = 1
        else if (option == "-nocookie")
            nocookie = 1
        else if (option == "inet_dist_use_interface")
            interface = 1
    }
}

# A word as erlexec reads it back.
function quoted(text) {
    if (text ~ /^[!-~]+$/ && !match(text, /["#\\]/) && !index(text, SINGLE))
        return text
    if (!index(text, "\""))
        return "\"" text "\""
    if (!index(text, SINGLE))
        return SINGLE text SINGLE
    return escaped_text(text)
}

function escaped_text(text, at, out) {
    out = ""
    for (at = 1; at <= length(text); at++)
        out = out "\\" substr(text, at, 1)
    return out
}

function write_words(at, line) {
    line = ""
    for (at = 1; at <= words && text_of[at] != "-extra"; at++)
        line = added(line, at)
    if (line != "")
        print line
    write_additions()
    line = ""
    for (; at <= words; at++)
        line = added(line, at)
    if (line != "")
        print line
}

function added(line, at) {
    if (line != "" && text_of[at] ~ /^[+-]/) {
        print line
        line = ""
    }
    return line (line == "" ? "" : " ") quoted(at == name_at + 1 && name_at ? name : text_of[at])
}

function write_additions() {
    if (!name_at)
        print kind " " name
    if (!cookie_at && !nocookie)
        print "-setcookie " cookie
    if (ENVIRON["FINISH_MODE"] == "cluster") {
        if (proto == "") {
            proto = "inet_tls"
            print "-proto_dist inet_tls"
        }
        # With a port of its own a node needs no port mapper; relx's nodetool starts one unless it is told here.
        if (ENVIRON["ERL_DIST_PORT"] != "" && !start_epmd)
            print "-start_epmd false"
    } else if (proto == "" && !interface && ENVIRON["FINISH_OWN_INTERFACE"] == "") {
        loopback = 1
        print "-kernel inet_dist_use_interface {127,0,0,1}"
    }
}

function write_facts(facts) {
    facts = ENVIRON["FINISH_FACTS"]
    print "cookie " cookie > facts
    print "kind " kind > facts
    print "name " name > facts
    print "proto " proto > facts
    print "port " port > facts
    print "optfile " optfile > facts
    print "loopback " loopback > facts
    close(facts)
}

BEGIN {
    SINGLE = sprintf("%c", 39)
    what = ENVIRON["FINISH"]
    text = ""
}

what == "plain" { print; next }
what == "config" { print replaced($0); next }
{ text = text $0 "\n" }

END {
    if (failed)
        exit 78
    if (what == "args") {
        read_arguments(text, ENVIRON["FINISH_FILE"], 0)
        if (failed)
            exit 78
        kind = "-name"
        name = ENVIRON["FINISH_NAME"] ""
        cookie = ENVIRON["RELX_COOKIE"] ""
        check_words()
        # As the node itself completes a short name: the start script need not ask a second emulator for it.
        if (kind == "-sname" && !index(name, "@"))
            name = name "@" ENVIRON["FINISH_HOST"]
        write_words()
        write_facts()
    }
}
