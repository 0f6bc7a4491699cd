//! An order book: text keys, blobs, a table name with a space, composite keys, a self reference, views.
use crate::desk::{Desk, shared};
use crate::team::*;

const EDITS_OF_ADA: &str = "
    UPDATE Customers SET ContactName = 'Contact by Ada' WHERE CustomerID = 'ALFKI';
    UPDATE Customers SET Phone = 'phone by Ada' WHERE CustomerID = 'ANATR';
    INSERT INTO Customers (CustomerID, CompanyName) VALUES ('NEWCO', 'Company of Ada');
    UPDATE Categories SET Picture = x'00ADA000FF' WHERE CategoryID = 1;
    UPDATE Categories SET Picture = x'' WHERE CategoryID = 2;
    UPDATE [Order Details] SET Quantity = 77 WHERE OrderID = 10248 AND ProductID = 11;
    DELETE FROM [Order Details] WHERE OrderID = 10248 AND ProductID = 42;
    INSERT INTO Employees (EmployeeID, LastName, ReportsTo) VALUES (10, 'Boss of Ada', NULL), (11, 'Clerk of Ada', 10);
    UPDATE Employees SET ReportsTo = 10 WHERE EmployeeID = 9;
    INSERT INTO EmployeeTerritories VALUES (10, '01581');
    INSERT INTO Orders (OrderID, CustomerID, EmployeeID, ShipName) VALUES (11078, 'ALFKI', 10, 'Ship of Ada');
    INSERT INTO [Order Details] VALUES (11078, 1, 10, 1, 0), (11078, 2, 20, 2, 0.5);
    INSERT INTO Regions VALUES (5, 'Region of Ada');
    INSERT INTO Territories VALUES ('A-001', 'Territory of Ada', 5);
    DELETE FROM Customers WHERE CustomerID = 'FISSA';
    UPDATE Shippers SET ShipperID = -1 WHERE ShipperID = 1;
    UPDATE Shippers SET ShipperID = 1 WHERE ShipperID = 2;
    UPDATE Shippers SET ShipperID = 2 WHERE ShipperID = -1;
    UPDATE Suppliers SET HomePage = 'wanted.example.org' WHERE SupplierID = 1;
";

const EDITS_OF_BOB: &str = "
    UPDATE Customers SET City = 'City by Bob' WHERE CustomerID = 'ALFKI';
    UPDATE Customers SET Phone = 'phone by Bob' WHERE CustomerID = 'ANATR';
    INSERT INTO Customers (CustomerID, CompanyName) VALUES ('NEWCO', 'Company of Bob');
    UPDATE Categories SET Picture = x'00B0B000FF' WHERE CategoryID = 1;
    UPDATE [Order Details] SET Discount = 0.25 WHERE OrderID = 10248 AND ProductID = 11;
    UPDATE [Order Details] SET Quantity = 4242 WHERE OrderID = 10248 AND ProductID = 42;
    INSERT INTO Employees (EmployeeID, LastName, ReportsTo) VALUES (10, 'Boss of Bob', NULL), (11, 'Clerk of Bob', 10);
    UPDATE Employees SET ReportsTo = 11 WHERE EmployeeID = 7;
    INSERT INTO EmployeeTerritories VALUES (10, '01581');
    INSERT INTO Orders (OrderID, CustomerID, EmployeeID, ShipName) VALUES (11078, 'ALFKI', 11, 'Ship of Bob');
    INSERT INTO [Order Details] VALUES (11078, 1, 11, 3, 0), (11078, 3, 30, 4, 0);
    INSERT INTO Regions VALUES (5, 'Region of Bob');
    INSERT INTO Territories VALUES ('B-001', 'Territory of Bob', 5);
    INSERT INTO Orders (OrderID, CustomerID, ShipName) VALUES (11079, 'FISSA', 'Child of the deleted');
    UPDATE Suppliers SET HomePage = 'wanted.example.org' WHERE SupplierID = 2;
";

const WRITTEN: [&str; 20] = [
    "Contact by Ada",
    "City by Bob",
    "phone by Ada",
    "phone by Bob",
    "Company of Ada",
    "Company of Bob",
    "4242",
    "Boss of Ada",
    "Boss of Bob",
    "Clerk of Ada",
    "Clerk of Bob",
    "Ship of Ada",
    "Ship of Bob",
    "Region of Ada",
    "Region of Bob",
    "Territory of Ada",
    "Territory of Bob",
    "Child of the deleted",
    "wanted.example.org",
    "FISSA Fabrica Inter. Salchichas S.A.",
];

/// Links by what they point to.
const BY_MEANING: &str = "
    SELECT 'employee', e.LastName, b.LastName FROM Employees e LEFT JOIN Employees b ON b.EmployeeID = e.ReportsTo ORDER BY 2;
    SELECT 'territory', LastName, TerritoryID FROM EmployeeTerritories JOIN Employees USING (EmployeeID) ORDER BY 2, 3;
    SELECT 'order', ShipName, CustomerID, LastName, iif(OrderID > 11077, 'new', OrderID)
      FROM Orders LEFT JOIN Employees USING (EmployeeID) ORDER BY 5, 2, 3;
    SELECT 'detail', ShipName, ProductID, UnitPrice, Quantity, Discount, iif(OrderID > 11077, 'new', OrderID)
      FROM [Order Details] JOIN Orders USING (OrderID) ORDER BY 7, 2, 3;
    SELECT 'region', TerritoryDescription, RegionDescription FROM Territories JOIN Regions USING (RegionID) ORDER BY 2, 3;
";

struct Outcome {
    by_meaning: String,
    other_rows: String,
    conflicts: Vec<String>,
}

/// Builds the order book with the plain shell.
fn northwind(desk: &Desk, db: &str) -> Option<()> {
    let sql = std::fs::read_to_string(shared("northwind.sql")?).expect("the SQL is text");
    // The script ends with queries that only print.
    let said = desk.try_sql(db, &sql);
    assert_eq!(said.code, 0, "{}", said.err);
    Some(())
}

fn apart_and_together(order: [usize; 2]) -> Option<Outcome> {
    let desk = Desk::new();
    northwind(&desk, "ada.db")?;
    desk.sql("ada.db", "CREATE UNIQUE INDEX one_page ON Suppliers (HomePage) WHERE HomePage LIKE 'wanted%';");
    let members = found(&desk, "ada.db", &["ada", "bob"], &[]);
    let pair = [&members[0], &members[1]];
    assert_together(&pair);
    let views = "SELECT name, sql FROM sqlite_master WHERE type IN ('view', 'index') AND name NOT LIKE 'mainstem%' ORDER BY 1;";
    assert_eq!(pair[0].sql(views), pair[1].sql(views), "views and indexes came along");
    pair[0].sql(EDITS_OF_ADA);
    pair[1].sql(EDITS_OF_BOB);

    until_quiet(&[pair[order[0]], pair[order[1]]]);
    assert_together(&pair);
    assert_nothing_lost(&pair, &WRITTEN);
    assert_outcome(pair[1]);
    let outcome = Outcome {
        by_meaning: pair[0].sql(BY_MEANING),
        other_rows: desk.rows_without("ada.db", &["Employees", "EmployeeTerritories", "Orders", "Order Details", "Regions", "Territories"]),
        conflicts: comparable_conflicts(pair[0]),
    };
    for member in pair {
        member.ok(&["deinit"]);
        let left = member.sql("SELECT count(*) FROM sqlite_master WHERE name LIKE 'mainstem%' OR sql LIKE '%mainstem%';");
        assert_eq!(left, "0\n");
        assert!(!member.sql("SELECT * FROM [Order Subtotals] LIMIT 1;").is_empty(), "views work in the plain file");
    }
    Some(outcome)
}

fn assert_outcome(member: &Member<'_>) {
    let details = member.sql("SELECT Quantity, Discount FROM [Order Details] WHERE OrderID = 10248 AND ProductID = 11;");
    assert_eq!(details, "77|0.25\n", "different cells of one row with a composite key");
    let customer = member.sql("SELECT ContactName, City FROM Customers WHERE CustomerID = 'ALFKI';");
    assert_eq!(customer, "Contact by Ada|City by Bob\n");
    let staff = "SELECT b.LastName, e.LastName FROM Employees e JOIN Employees b ON b.EmployeeID = e.ReportsTo
                 WHERE b.LastName LIKE '% of %' ORDER BY 1, 2;";
    let expected = "Boss of Ada|Clerk of Ada\nBoss of Ada|Dodsworth\nBoss of Bob|Clerk of Bob\nClerk of Bob|King\n";
    assert_eq!(member.sql(staff), expected, "the self reference follows the renumbered rows");
    let orders = "SELECT ShipName, LastName, group_concat(ProductID || 'x' || Quantity, ' ') FROM
                  (SELECT * FROM Orders JOIN [Order Details] USING (OrderID) JOIN Employees USING (EmployeeID)
                   WHERE ShipName LIKE 'Ship of %' ORDER BY ProductID) GROUP BY 1 ORDER BY 1;";
    let expected = "Ship of Ada|Boss of Ada|1x1 2x2\nShip of Bob|Clerk of Bob|1x3 3x4\n";
    assert_eq!(member.sql(orders), expected, "each order has its own lines");
    let territories = "SELECT LastName FROM EmployeeTerritories JOIN Employees USING (EmployeeID)
                       WHERE LastName LIKE 'Boss of %' ORDER BY 1;";
    assert_eq!(member.sql(territories), "Boss of Ada\nBoss of Bob\n");
    let regions = "SELECT TerritoryDescription, RegionDescription FROM Territories JOIN Regions USING (RegionID)
                   WHERE TerritoryDescription LIKE 'Territory of %' ORDER BY 1;";
    assert_eq!(member.sql(regions), "Territory of Ada|Region of Ada\nTerritory of Bob|Region of Bob\n");
    let shippers = "SELECT ShipperID, CompanyName FROM Shippers WHERE ShipperID < 3 ORDER BY 1;";
    assert_eq!(member.sql(shippers), "1|United Package\n2|Speedy Express\n");
    assert_eq!(member.sql("SELECT typeof(Picture), length(Picture) FROM Categories WHERE CategoryID = 2;"), "blob|0\n");
    let kinds: Vec<String> = member.conflicts().iter().map(|c| c["kind"].to_string().replace('"', "")).collect();
    for kind in ["update_update", "create_create", "missing_parent", "unique"] {
        assert!(kinds.iter().any(|k| k == kind), "a conflict of kind {kind}: {kinds:?}");
    }
}

#[test]
fn both_orders_give_the_same() {
    let (Some(ada_first), Some(bob_first)) = (apart_and_together([0, 1]), apart_and_together([1, 0])) else {
        return;
    };
    assert_same(&ada_first.by_meaning, &bob_first.by_meaning, "the links by meaning, in both orders");
    assert_same(&ada_first.other_rows, &bob_first.other_rows, "the other tables, in both orders");
    assert_eq!(ada_first.conflicts, bob_first.conflicts, "the conflicts, in both orders");
}

#[test]
fn deinit_gives_the_file_back() {
    let desk = Desk::new();
    if northwind(&desk, "app.db").is_none() {
        return;
    }
    let before = desk.dump("app.db");
    desk.ok(&["--as", "ada", "init", "app.db"]);
    Member::new(&desk, "ada", "app.db").ok(&["deinit"]);
    assert_same(&desk.dump("app.db"), &before, "the dumps");
    assert_eq!(desk.dump("app.db"), before);
}
